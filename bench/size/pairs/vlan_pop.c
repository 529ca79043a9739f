#include "common.h"

SEC("xdp") int vlan_pop(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_8021Q))
        return XDP_PASS;
    if (data + 20 > data_end)
        return XDP_DROP;
    u64 low = *(u64 *)data;
    u32 high = *(u32 *)(data + 8);
    *(u64 *)(data + 4) = low;
    *(u32 *)(data + 12) = high;
    return xdp_adjust_head(ctx, 4) ? XDP_ABORTED : XDP_PASS;
}

LICENSE;
