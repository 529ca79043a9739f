/* Maps of maps: inner ones by their type, and some that are in them from the beginning. */
#include "defs.h"

struct inner { NUMBER(type, ARRAY); NUMBER(max_entries, 2); TYPE(key, u32); TYPE(value, u64); } first SEC(".maps"),
    second SEC(".maps");
struct other { NUMBER(type, HASH); NUMBER(max_entries, 8); NUMBER(key_size, 8); NUMBER(value_size, 16); } third SEC(".maps");
struct { NUMBER(type, ARRAY_OF_MAPS); NUMBER(max_entries, 5); TYPE(key, u32); VALUES(values, struct inner); } filled
    SEC(".maps") = {.values = {[0] = &first, [3] = &second, [4] = &first}};
struct { NUMBER(type, HASH_OF_MAPS); NUMBER(max_entries, 5); TYPE(key, u32); VALUES(values, struct other); } table
    SEC(".maps") = {.values = {[2] = &third}};
struct { NUMBER(type, ARRAY_OF_MAPS); NUMBER(max_entries, 3); NUMBER(key_size, 4); VALUES(values, struct inner); } empty SEC(".maps");
struct { NUMBER(type, ARRAY_OF_MAPS); NUMBER(max_entries, 3); NUMBER(key_size, 4);
    VALUES(values, struct { NUMBER(type, RINGBUF); NUMBER(max_entries, 4096); }); } rings SEC(".maps");

SEC("xdp") int nested(struct xdp_md *ctx)
{
    u32 key = 3;
    void *map = map_lookup_elem(&filled, &key);
    u64 *value, pair[2] = {1, 2};
    if (!map)
        return XDP_ABORTED;
    key = 1;
    value = map_lookup_elem(map, &key);
    if (value)
        *value += 1;
    map = map_lookup_elem(&table, &key);
    if (map)
        map_update_elem(map, pair, pair, 0);
    map = map_lookup_elem(&rings, &key);
    if (map)
        ringbuf_output(map, pair, 8, 0);
    return map_lookup_elem(&empty, &key) ? XDP_PASS : XDP_DROP;
}

LICENSE;
