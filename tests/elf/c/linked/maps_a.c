/* Maps across objects: of records, of maps and of programs, which the other half defines; static ones of one name in both. */
#include "../defs.h"

struct record { u32 small; u64 large; struct { u16 a, b; } pair; };
struct inner { NUMBER(type, ARRAY); NUMBER(max_entries, 2); TYPE(key, u32); TYPE(value, u64); };
extern HASH_OF(u32, struct record, 16) records __attribute__((section(".maps")));
extern struct inner first __attribute__((section(".maps")));
extern struct { NUMBER(type, ARRAY_OF_MAPS); NUMBER(max_entries, 5); TYPE(key, u32); VALUES(values, struct inner); } filled
    __attribute__((section(".maps")));
struct { NUMBER(type, PROG_ARRAY); NUMBER(max_entries, 4); TYPE(key, u32); TYPE(value, u32); } jumps SEC(".maps");
ARRAY_OF(u32, struct record, 4) own SEC(".maps");

SEC("xdp") int reads(struct xdp_md *ctx)
{
    u32 key = 3;
    struct record *record = map_lookup_elem(&records, &key);
    void *map = map_lookup_elem(&filled, &key);
    u64 *value = map_lookup_elem(&first, &(u32){1});
    if (record)
        record->large += record->pair.b;
    if (map)
        map_update_elem(map, &key, &(u64){7}, 0);
    tail_call(ctx, &jumps, 1);
    return value && *value ? XDP_PASS : XDP_DROP;
}

LICENSE;
