#include "common.h"

SEC("xdp") int mac_swap(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    u16 *words = data, a, b, c;

    if ((void *)(eth + 1) > data_end)
        return XDP_DROP;
    a = words[0], b = words[1], c = words[2];
    words[0] = words[3];
    words[1] = words[4];
    words[2] = words[5];
    words[3] = a;
    words[4] = b;
    words[5] = c;
    return XDP_TX;
}

LICENSE;
