#include "common.h"

enum { MOST_LABELS = 8 };
MAP(labels, PERCPU_ARRAY, 16, u32, u64);

SEC("xdp") int dns_name(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct udphdr *udp = (void *)(ip + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->ihl != 5 || ip->protocol != IPPROTO_UDP)
        return XDP_PASS;
    if ((void *)(udp + 1) > data_end || udp->dest != htons(53))
        return XDP_PASS;
    u8 *label = data + 54;
    u32 count = 0;
    for (;; count++) {
        if (count == MOST_LABELS || (void *)(label + 1) > data_end || *label > 63)
            return XDP_DROP;
        if (*label == 0)
            break;
        label += *label + 1;
    }
    u64 *entry = map_lookup_elem(&labels, &count);
    if (entry)
        *entry += 1;
    return XDP_PASS;
}

LICENSE;
