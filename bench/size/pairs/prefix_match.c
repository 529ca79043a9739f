#include "common.h"

struct prefix { u32 address, length; };
MAP(routes, HASH, 4096, struct prefix, u32);
MAP(by_hop, PERCPU_ARRAY, 64, u32, u64);

SEC("xdp") int prefix_match(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end)
        return XDP_DROP;
    u32 address = ntohl(ip->daddr);
#pragma clang loop unroll(disable)
    for (u32 skipped = 0; skipped < 28; skipped += 4) {
        struct prefix key = { .address = address >> skipped << skipped, .length = 32 - skipped };
        u32 *hop = map_lookup_elem(&routes, &key);
        if (hop) {
            u32 number = *hop;
            if (number < 64) {
                u64 *count = map_lookup_elem(&by_hop, &number);
                if (count)
                    *count += 1;
            }
            return XDP_PASS;
        }
    }
    return XDP_DROP;
}

LICENSE;
