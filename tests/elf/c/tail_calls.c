/* An array of programs that has some from the beginning. */
#include "defs.h"

int first(struct xdp_md *), second(struct xdp_md *);
struct { NUMBER(type, PROG_ARRAY); NUMBER(max_entries, 4); TYPE(key, u32); VALUES(values, int (void *)); } jumps SEC(".maps") =
    {.values = {[0] = (void *)&first, [2] = (void *)&second}};

SEC("xdp") int first(struct xdp_md *ctx)
{
    return XDP_DROP;
}

SEC("xdp") int second(struct xdp_md *ctx)
{
    tail_call(ctx, &jumps, 0);
    return XDP_ABORTED;
}

SEC("xdp") int entry(struct xdp_md *ctx)
{
    tail_call(ctx, &jumps, ctx->rx_queue_index);
    return XDP_PASS;
}

LICENSE;
