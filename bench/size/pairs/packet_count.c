/* The program of examples/packet_count.py in C. */
#include "common.h"

struct traffic { u64 packets, octets; };
MAP(traffic, PERCPU_ARRAY, 256, u32, struct traffic);

SEC("xdp") int count(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    u32 protocol;

    if (data + sizeof(*eth) > data_end)
        return XDP_PASS;
    if (eth->proto == htons(ETH_P_IP)) {
        struct iphdr *ip = data + sizeof(*eth);
        if ((void *)(ip + 1) > data_end)
            return XDP_PASS;
        protocol = ip->protocol;
    } else if (eth->proto == htons(ETH_P_IPV6)) {
        struct ipv6hdr *ip6 = data + sizeof(*eth);
        if ((void *)(ip6 + 1) > data_end)
            return XDP_PASS;
        protocol = ip6->nexthdr;
    } else {
        return XDP_PASS;
    }
    struct traffic *entry = map_lookup_elem(&traffic, &protocol);
    if (!entry)
        return XDP_PASS;
    entry->packets += 1;
    entry->octets += data_end - data;
    return XDP_PASS;
}

LICENSE;
