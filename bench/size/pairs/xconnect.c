/* The program of examples/xconnect.py in C. */
#include "common.h"

MAP(peers, DEVMAP, 256, u32, u32);

SEC("xdp") int xconnect(struct xdp_md *ctx)
{
    return redirect_map(&peers, ctx->ingress_ifindex, XDP_ABORTED);
}

LICENSE;
