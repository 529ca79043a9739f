#include "common.h"

enum { PLACES = 64 };
#define HEAD htonl('n' << 24 | 'e' << 16 | 'e' << 8 | 'd')
#define TAIL htons('l' << 8 | 'e')

SEC("xdp") int find_bytes(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;

#pragma clang loop unroll(disable)
    for (int i = 0; i < PLACES; i++) {
        void *word = data + 14 + i;
        if (word + 6 > data_end)
            break;
        if (*(u32 *)word == HEAD && *(u16 *)(word + 4) == TAIL)
            return XDP_DROP;
    }
    return XDP_PASS;
}

LICENSE;
