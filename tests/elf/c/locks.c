/* A lock in a map's value. */
#include "defs.h"

struct guarded { u64 a, b; struct bpf_spin_lock lock; };
HASH_OF(u32, struct guarded, 8) table SEC(".maps");
struct bpf_spin_lock alone SEC(".data.locks");
u64 counted SEC(".data.locks");

SEC("tc") int both(struct __sk_buff *ctx)
{
    u32 key = 1;
    struct guarded *value = map_lookup_elem(&table, &key);
    if (!value)
        return 0;
    spin_lock(&value->lock);
    value->a++;
    value->b--;
    spin_unlock(&value->lock);
    return 1;
}

LICENSE;
