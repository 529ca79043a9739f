#include "common.h"

static const u32 starts[16] = {
    0x00000000, 0x0A000000, 0x0A000003, 0x0A010000, 0x14000000, 0x50000000, 0x7F000000, 0x80000000,
    0xA9FE0000, 0xAC100000, 0xAC100200, 0xC0A80000, 0xC0A80100, 0xE0000000, 0xF0000000, 0xFFFFFFFF,
};
MAP(hits, PERCPU_ARRAY, 16, u32, u64);

SEC("xdp") int binary_search(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end)
        return XDP_PASS;
    u32 address = ntohl(ip->saddr), at = 0;
    for (u32 step = 8; step; step /= 2)
        if (starts[at + step & 15] <= address)
            at = at + step & 15;
    u64 *count = map_lookup_elem(&hits, &at);
    if (count)
        *count += 1;
    return XDP_PASS;
}

LICENSE;
