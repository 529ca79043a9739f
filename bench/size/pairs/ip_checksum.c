#include "common.h"

struct words { u16 words[10]; };

SEC("xdp") int ip_checksum(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct words *header = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(header + 1) > data_end)
        return XDP_DROP;
    u32 total = 0;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 10; i++)
        total += header->words[i];
    total = (total & 0xFFFF) + (total >> 16);
    total = (total & 0xFFFF) + (total >> 16);
    return total == 0xFFFF ? XDP_PASS : XDP_DROP;
}

LICENSE;
