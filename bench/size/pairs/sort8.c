#include "common.h"

MAP(medians, ARRAY, 2, u32, u32);

SEC("xdp") int sort8(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    u16 *items = data + 14;

    if ((void *)(items + 8) > data_end)
        return XDP_PASS;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 7; i++) {
#pragma clang loop unroll(disable)
        for (int k = 0; k < 7; k++) {
            u16 left = items[k], right = items[k + 1];
            if (left > right) {
                items[k] = right;
                items[k + 1] = left;
            }
        }
    }
    for (u32 n = 0; n < 2; n++) {
        u32 key = n, value = items[3 + n];
        map_update_elem(&medians, &key, &value, BPF_ANY);
    }
    return XDP_TX;
}

LICENSE;
