#include "common.h"

struct sizes { u64 packets[16], octets; };
MAP(sizes, PERCPU_ARRAY, 3, u32, struct sizes);

SEC("xdp") int size_histogram(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    u32 family, slot = 0;

    if ((void *)(eth + 1) > data_end)
        return XDP_PASS;
    switch (eth->proto) {
    case htons(ETH_P_IP):
        family = 0;
        break;
    case htons(ETH_P_IPV6):
        family = 1;
        break;
    default:
        family = 2;
    }
    u32 size = data_end - data;
    if (size >= 256) { size >>= 8; slot = 8; }
    if (size >= 16) { size >>= 4; slot += 4; }
    if (size >= 4) { size >>= 2; slot += 2; }
    if (size >= 2) { slot += 1; }
    struct sizes *entry = map_lookup_elem(&sizes, &family);
    if (!entry)
        return XDP_PASS;
    entry->packets[slot] += 1;
    entry->octets += data_end - data;
    return XDP_PASS;
}

LICENSE;
