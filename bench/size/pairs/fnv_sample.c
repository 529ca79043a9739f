#include "common.h"

SEC("xdp") int fnv_sample(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    u8 *octets = data + 26;

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(octets + 12) > data_end)
        return XDP_PASS;
    u32 state = 0x811C9DC5;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 12; i++)
        state = (state ^ octets[i]) * 0x01000193;
    return state & 15 ? XDP_DROP : XDP_PASS;
}

LICENSE;
