#include "common.h"

struct args { u64 common, call_site, ptr, bytes_req, bytes_alloc; };
struct sizes { u64 number, asked, wasted; };
MAP(sizes, PERCPU_ARRAY, 24, u32, struct sizes);

INLINE u32 log2(u32 x)
{
    u32 n = 0;
    if (x >> 16) { x >>= 16; n += 16; }
    if (x >> 8) { x >>= 8; n += 8; }
    if (x >> 4) { x >>= 4; n += 4; }
    if (x >> 2) { x >>= 2; n += 2; }
    if (x >> 1) { n += 1; }
    return n;
}

SEC("tracepoint/kmem/kmalloc") int kmalloc_sizes(struct args *ctx)
{
    u64 asked = ctx->bytes_req, given = ctx->bytes_alloc;
    u32 slot = log2(asked);
    if (asked >> 32 || slot > 23)
        slot = 23;
    struct sizes *entry = map_lookup_elem(&sizes, &slot);
    if (!entry)
        return 0;
    entry->number += 1;
    entry->asked += asked;
    entry->wasted += given - asked;
    return 0;
}

LICENSE;
