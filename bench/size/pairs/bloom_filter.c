#include "common.h"

MAP(bits, ARRAY, 1024, u32, u64);
MAP(fresh, PERCPU_ARRAY, 1, u32, u64);

INLINE int seen(u32 address, u32 factor)
{
    u32 place = address * factor >> 16, word = place >> 6;
    u64 mask = 1ull << (place & 63);
    u64 *entry = map_lookup_elem(&bits, &word);
    if (!entry || *entry & mask)
        return 1;
    __sync_fetch_and_or(entry, mask);
    return 0;
}

SEC("xdp") int bloom_filter(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    u32 zero = 0;

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end)
        return XDP_PASS;
    u32 address = ntohl(ip->saddr);
    int known = seen(address, 0x9E3779B1);
    known &= seen(address, 0x85EBCA77);
    known &= seen(address, 0xC2B2AE3D);
    if (!known) {
        u64 *count = map_lookup_elem(&fresh, &zero);
        if (count)
            *count += 1;
    }
    return XDP_PASS;
}

LICENSE;
