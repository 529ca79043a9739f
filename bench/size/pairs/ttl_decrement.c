#include "common.h"

SEC("xdp") int ttl_decrement(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end)
        return XDP_DROP;
    if (ip->ttl <= 1)
        return XDP_DROP;
    u32 total = ip->check + htons(0x0100);
    ip->check = total + (total >= 0xFFFF);
    ip->ttl--;
    return XDP_PASS;
}

LICENSE;
