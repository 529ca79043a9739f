/* Maps as iproute2 reads them. */
#include "defs.h"

struct bpf_elf_map { u32 type, size_key, size_value, max_elem, flags, id, pinning, inner_id, inner_idx; };
struct bpf_elf_map SEC("maps") counts = {.type = HASH, .size_key = 4, .size_value = 8, .max_elem = 10, .pinning = 0};

SEC("classifier") int use(struct __sk_buff *ctx)
{
    u32 key = 1;
    u64 *a = map_lookup_elem(&counts, &key);
    return a ? *a : 0;
}

LICENSE;
