/* Functions that programs call: static and global, shared and not, in .text and beside the programs, through one another. */
#include "defs.h"

u32 trace[8];

static NOINLINE int leaf(int a)
{
    opaque(a);
    return a * 3 + trace[1];
}

static NOINLINE int middle(int a)
{
    opaque(a);
    return leaf(a + 1) ^ leaf(a - 1);
}

NOINLINE int shared(int a, int b)
{
    opaque(a);
    trace[a & 7] = b;
    return a + b;
}

static NOINLINE int unused_by_first(int a)
{
    opaque(a);
    return shared(a, 2) - middle(a);
}

NOINLINE WEAK int weak_one(int a)
{
    opaque(a);
    return a + 40;
}

HIDDEN NOINLINE int hidden_one(int a)
{
    opaque(a);
    return a - 40;
}

SEC("xdp") int first(struct xdp_md *ctx)
{
    return middle(ctx->rx_queue_index) + shared(1, 2);
}

SEC("xdp") int second(struct xdp_md *ctx)
{
    return unused_by_first(ctx->rx_queue_index) + leaf(4);
}

SEC("xdp") int third(struct xdp_md *ctx)
{
    return leaf(ctx->rx_queue_index) + weak_one(1) + hidden_one(2);
}

SEC("tc") int without(struct __sk_buff *ctx)
{
    return ctx->len;
}

SEC("tc") int fourth(struct __sk_buff *ctx)
{
    return hidden_one(ctx->len) + middle(3) + without(ctx);
}

LICENSE;
