#include "common.h"

MAP(by_vlan, PERCPU_ARRAY, 4096, u32, u64);

SEC("xdp") int vlan_count(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    u32 number = 0;

    if ((void *)(eth + 1) > data_end)
        return XDP_PASS;
    u16 proto = eth->proto;
    struct vlanhdr *tag = (void *)(eth + 1);
#pragma unroll
    for (int i = 0; i < 2; i++) {
        if (proto != htons(ETH_P_8021Q) && proto != htons(ETH_P_8021AD))
            break;
        if ((void *)(tag + 1) > data_end)
            return XDP_DROP;
        number = ntohs(tag->tci) & 0xFFF;
        proto = tag->proto;
        tag++;
    }
    u64 *count = map_lookup_elem(&by_vlan, &number);
    if (count)
        *count += 1;
    return XDP_PASS;
}

LICENSE;
