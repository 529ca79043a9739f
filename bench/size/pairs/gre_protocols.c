#include "common.h"

enum { HAS_CHECKSUM = 0x8000, HAS_KEY = 0x2000, HAS_SEQUENCE = 0x1000 };
MAP(inner, PERCPU_HASH, 64, u16, u64);

SEC("xdp") int gre_protocols(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->protocol != IPPROTO_GRE)
        return XDP_PASS;
    struct grehdr *gre = (void *)ip + ip->ihl * 4;
    if ((void *)(gre + 1) > data_end)
        return XDP_DROP;
    u32 size = 4;
    if (gre->flags & htons(HAS_CHECKSUM))
        size += 4;
    if (gre->flags & htons(HAS_KEY))
        size += 4;
    if (gre->flags & htons(HAS_SEQUENCE))
        size += 4;
    if ((void *)gre + size > data_end)
        return XDP_DROP;
    u16 protocol = ntohs(gre->protocol);
    u64 *count = map_lookup_elem(&inner, &protocol);
    if (!count) {
        u64 zero = 0;
        map_update_elem(&inner, &protocol, &zero, BPF_NOEXIST);
        count = map_lookup_elem(&inner, &protocol);
        if (!count)
            return XDP_PASS;
    }
    *count += 1;
    return XDP_PASS;
}

LICENSE;
