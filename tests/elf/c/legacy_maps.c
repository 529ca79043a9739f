/* Maps of before BTF, some with more fields than others know. */
#include "defs.h"

struct bpf_map_def { u32 type, key_size, value_size, max_entries, map_flags; };
struct bpf_map_def SEC("maps") counts = {HASH, 4, 8, 10, NO_PREALLOC};
struct bpf_map_def SEC("maps") numbers = {ARRAY, 4, 8, 3};

SEC("socket") int use(struct __sk_buff *ctx)
{
    u32 key = 1;
    u64 *a = map_lookup_elem(&counts, &key), *b = map_lookup_elem(&numbers, &key);
    return a && b ? *a + *b : 0;
}

LICENSE;
