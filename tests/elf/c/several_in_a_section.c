/* Programs that share their section. */
#include "defs.h"

HASH_OF(u32, u64, 4) counts SEC(".maps");

static inline int count(u32 key)
{
    u64 *value = map_lookup_elem(&counts, &key), one = 1;
    if (value)
        __sync_fetch_and_add(value, 1);
    else
        map_update_elem(&counts, &key, &one, 0);
    return XDP_PASS;
}

SEC("xdp") int a(struct xdp_md *ctx) { return count(1); }
SEC("xdp") int b(struct xdp_md *ctx) { return count(2); }
SEC("xdp.frags") int c(struct xdp_md *ctx) { return count(3); }
SEC("xdp") int d(struct xdp_md *ctx) { return count(4); }

LICENSE;
