/* The other half: it fills maps, some of them with maps of its own. */
#include "../defs.h"

struct record { u32 small; u64 large; struct { u16 a, b; } pair; };
struct inner { NUMBER(type, ARRAY); NUMBER(max_entries, 2); TYPE(key, u32); TYPE(value, u64); } first SEC(".maps"),
    second SEC(".maps");
HASH_OF(u32, struct record, 16) records SEC(".maps");
struct { NUMBER(type, ARRAY_OF_MAPS); NUMBER(max_entries, 5); TYPE(key, u32); VALUES(values, struct inner); } filled
    SEC(".maps") = {.values = {[0] = &first, [3] = &second}};
extern struct { NUMBER(type, PROG_ARRAY); NUMBER(max_entries, 4); TYPE(key, u32); TYPE(value, u32); } jumps
    __attribute__((section(".maps")));
extern ARRAY_OF(u32, struct record, 4) own __attribute__((section(".maps")));

static int add(void *map, u32 *key, struct record *value, u64 *sum)
{
    *sum += value->large + *key;
    return 0;
}

SEC("xdp") int fills(struct xdp_md *ctx)
{
    struct record record = {.small = 1, .large = 2, .pair = {3, 4}};
    u64 sum = 0;
    map_update_elem(&records, &(u32){3}, &record, 0);
    map_update_elem(&own, &(u32){2}, &record, 0);
    for_each_map_elem(&own, add, &sum, 0);
    tail_call(ctx, &jumps, sum);
    return XDP_ABORTED;
}

LICENSE;
