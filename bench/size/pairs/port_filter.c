#include "common.h"

MAP(allowed, ARRAY, 1024, u32, u64);

SEC("xdp") int port_filter(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end)
        return XDP_DROP;
    if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
        return XDP_PASS;
    struct udphdr *ports = (void *)ip + ip->ihl * 4;
    if ((void *)(ports + 1) > data_end)
        return XDP_DROP;
    u32 port = ntohs(ports->dest), word = port >> 6;
    u64 *bits = map_lookup_elem(&allowed, &word);
    if (bits && *bits >> (port & 63) & 1)
        return XDP_PASS;
    return XDP_DROP;
}

LICENSE;
