#include "common.h"

MAP(histogram, PERCPU_ARRAY, 257, u32, u64);

SEC("xdp") int bit_count(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    u64 *words = data + 14;

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(words + 4) > data_end)
        return XDP_PASS;
    u32 total = 0;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 4; i++)
        total += __builtin_popcountll(words[i]);
    u64 *count = map_lookup_elem(&histogram, &total);
    if (count)
        *count += 1;
    return XDP_PASS;
}

LICENSE;
