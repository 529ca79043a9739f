#include "common.h"

struct args { u64 common; u32 dev; u64 sector; u32 nr_sector; s32 error; };
struct request { u64 sector; u32 dev, unused; };
struct histogram { u64 slots[32]; };
MAP(issued, HASH, 10240, struct request, u64);
MAP(latency, PERCPU_ARRAY, 1, u32, struct histogram);

INLINE u32 log2(u64 x)
{
    u32 n = 0;
    if (x >> 32) { x >>= 32; n += 32; }
    if (x >> 16) { x >>= 16; n += 16; }
    if (x >> 8) { x >>= 8; n += 8; }
    if (x >> 4) { x >>= 4; n += 4; }
    if (x >> 2) { x >>= 2; n += 2; }
    if (x >> 1) { n += 1; }
    return n;
}

SEC("tracepoint/block/block_rq_complete") int block_latency(struct args *ctx)
{
    struct request key = { .sector = ctx->sector, .dev = ctx->dev };
    u64 *start = map_lookup_elem(&issued, &key);
    u32 zero = 0;
    if (!start)
        return 0;
    u32 slot = log2((ktime_get_ns() - *start) / 1000);
    struct histogram *histogram = map_lookup_elem(&latency, &zero);
    if (!histogram)
        return 0;
    if (slot > 31)
        slot = 31;
    histogram->slots[slot] += 1;
    map_delete_elem(&issued, &key);
    return 0;
}

LICENSE;
