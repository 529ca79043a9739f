#include "common.h"

#define NETWORK 0x20010DB800000000ull
struct source { u64 network, host; };
MAP(refused, PERCPU_ARRAY, 3, u32, u64);

SEC("xdp") int ipv6_allow(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct source *source = data + 22;
    u32 why = 0;

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IPV6))
        return XDP_PASS;
    if ((void *)(source + 1) <= data_end) {
        u64 network = __builtin_bswap64(source->network);
        if (network == NETWORK || network >> 54 == 0xFE80 >> 6)
            return XDP_PASS;
        why = network >> 56 == 0xFF ? 2 : 1;
    }
    u64 *count = map_lookup_elem(&refused, &why);
    if (count)
        *count += 1;
    return XDP_DROP;
}

LICENSE;
