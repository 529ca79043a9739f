/* A section that nobody knows. */
#include "defs.h"

SEC("of_our_own/thing") int custom(void *ctx) { return 0; }
SEC("xdp") int known(struct xdp_md *ctx) { return XDP_PASS; }

LICENSE;
