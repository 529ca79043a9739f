/* No license at all. */
#include "defs.h"

SEC("socket") int plain(struct __sk_buff *ctx) { return ctx->len; }
