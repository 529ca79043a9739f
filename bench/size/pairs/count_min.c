#include "common.h"

enum { LIMIT = 50 };
struct sketch { u32 counters[1024]; };
MAP(sketch, PERCPU_ARRAY, 1, u32, struct sketch);
static const u32 factors[4] = { 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F };

SEC("xdp") int count_min(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    u32 zero = 0, least = 0xFFFFFFFF;

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end)
        return XDP_PASS;
    u32 address = ntohl(ip->saddr);
    struct sketch *table = map_lookup_elem(&sketch, &zero);
    if (!table)
        return XDP_PASS;
#pragma clang loop unroll(disable)
    for (u32 row = 0; row < 4; row++) {
        u32 *counter = &table->counters[row << 8 | address * factors[row] >> 24];
        *counter += 1;
        if (*counter < least)
            least = *counter;
    }
    return least > LIMIT ? XDP_DROP : XDP_PASS;
}

LICENSE;
