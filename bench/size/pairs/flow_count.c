#include "common.h"

struct flow { u32 saddr, daddr; u16 source, dest; u8 protocol, unused[3]; };
struct traffic { u64 packets, octets; };
MAP(flows, PERCPU_HASH, 4096, struct flow, struct traffic);

SEC("xdp") int flow_count(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct udphdr *ports = (void *)(ip + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->ihl != 5)
        return XDP_PASS;
    if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
        return XDP_PASS;
    if ((void *)(ports + 1) > data_end)
        return XDP_PASS;
    struct flow key = {
        .saddr = ip->saddr, .daddr = ip->daddr, .source = ports->source, .dest = ports->dest, .protocol = ip->protocol,
    };
    struct traffic *traffic = map_lookup_elem(&flows, &key);
    if (traffic) {
        traffic->packets += 1;
        traffic->octets += data_end - data;
    } else {
        struct traffic first = { .packets = 1, .octets = data_end - data };
        map_update_elem(&flows, &key, &first, BPF_ANY);
    }
    return XDP_PASS;
}

LICENSE;
