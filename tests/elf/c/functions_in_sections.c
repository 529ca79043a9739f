/* Functions that are called but are no programs, and calls between sections. */
#include "defs.h"

u32 calls;

NOINLINE int in_text(int a)
{
    opaque(a);
    calls++;
    return a * 7;
}

SEC("xdp") NOINLINE int called_too(struct xdp_md *ctx)
{
    calls += 2;
    return in_text(ctx->rx_queue_index);
}

SEC("xdp/devmap") int of_another_section(struct xdp_md *ctx)
{
    return called_too(ctx) + in_text(2);
}

SEC("xdp") int after(struct xdp_md *ctx)
{
    return called_too(ctx);
}

LICENSE;
