/* BTF maps with every attribute: sizes as numbers and as types, flags, extra, NUMA node, names that are cut. */
#include "defs.h"

struct key { u32 a; u16 b; u8 c; u8 d; };
struct value { u64 count; char name[12]; };
enum port { LOW = 1, HIGH = 1024 };

struct { NUMBER(type, HASH); NUMBER(max_entries, 100); TYPE(key, struct key); TYPE(value, struct value); } by_types SEC(".maps");
struct { NUMBER(type, HASH); NUMBER(max_entries, 7); NUMBER(key_size, 4); NUMBER(value_size, 24); } by_sizes SEC(".maps");
struct { NUMBER(type, LRU_HASH); NUMBER(max_entries, 64); TYPE(key, enum port); TYPE(value, u64[3]); } of_enum SEC(".maps");
struct { NUMBER(type, HASH); NUMBER(max_entries, 9); NUMBER(map_flags, NO_PREALLOC); TYPE(key, u32); TYPE(value, u32); } flagged
    SEC(".maps");
struct { NUMBER(type, HASH); NUMBER(max_entries, 9); NUMBER(map_flags, NUMA_NODE); NUMBER(numa_node, 0); TYPE(key, u32);
    TYPE(value, u32); } on_node SEC(".maps");
struct { NUMBER(type, BLOOM_FILTER); NUMBER(max_entries, 100); TYPE(value, u32); NUMBER(map_extra, 3); } bloom SEC(".maps");
struct { NUMBER(type, ARRAY); NUMBER(max_entries, 2); TYPE(key, u32); TYPE(value, u64); NUMBER(key_size, 4);
    NUMBER(value_size, 8); } both_ways SEC(".maps");
struct { TYPE(value, u8); TYPE(key, u64); NUMBER(max_entries, 3); NUMBER(type, HASH); } turned SEC(".maps");
typedef HASH_OF(u32, u64, 12) named_type;
named_type of_typedef SEC(".maps");
ARRAY_OF(u32, const volatile struct value, 5) a_name_that_is_longer_than_what_the_kernel_keeps SEC(".maps");

SEC("xdp") int use(struct xdp_md *ctx)
{
    struct key key = {.a = ctx->rx_queue_index};
    struct value *value = map_lookup_elem(&by_types, &key);
    u32 number = 1;
    u64 *count = map_lookup_elem(&both_ways, &number);
    struct value *third = map_lookup_elem(&a_name_that_is_longer_than_what_the_kernel_keeps, &number);
    if (count)
        *count += map_push_elem(&bloom, &number, 0);
    if (third)
        third->count++;
    map_update_elem(&flagged, &number, &number, 0);
    map_delete_elem(&on_node, &number);
    return value ? XDP_PASS : XDP_DROP;
}

LICENSE;
