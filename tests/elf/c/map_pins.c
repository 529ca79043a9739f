/* Maps that are pinned by their names, and some that are not. */
#include "defs.h"

struct { NUMBER(type, HASH); NUMBER(max_entries, 4); TYPE(key, u32); TYPE(value, u32); NUMBER(pinning, 1); } shared SEC(".maps");
struct { NUMBER(type, ARRAY); NUMBER(max_entries, 4); TYPE(key, u32); TYPE(value, u32); NUMBER(pinning, 0); } own SEC(".maps");
struct { NUMBER(type, ARRAY_OF_MAPS); NUMBER(max_entries, 4); TYPE(key, u32); NUMBER(pinning, 1);
    VALUES(values, ARRAY_OF(u32, u64, 3)); } shared_tables SEC(".maps");

SEC("xdp") int pinned(struct xdp_md *ctx)
{
    u32 key = 0, *there = map_lookup_elem(&shared, &key), *mine = map_lookup_elem(&own, &key);
    return there && mine && *there == *mine && map_lookup_elem(&shared_tables, &key) ? XDP_DROP : XDP_PASS;
}

LICENSE;
