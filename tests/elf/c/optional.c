/* Programs that are loaded only where they are asked for. */
#include "defs.h"

u64 seen;

SEC("?raw_tp/no_such_tracepoint") int missing(void *ctx) { return seen++; }
SEC("?xdp") int asked_for(struct xdp_md *ctx) { return XDP_PASS; }
SEC("raw_tp/sys_enter") int always(void *ctx) { return seen += 2, 0; }

LICENSE;
