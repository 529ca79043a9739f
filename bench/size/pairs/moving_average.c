#include "common.h"

struct average { s64 mean, deviation; u64 outliers; };
MAP(averages, HASH, 4096, u32, struct average);

SEC("xdp") int moving_average(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end)
        return XDP_PASS;
    s64 size = data_end - data;
    u32 source = ip->saddr;
    struct average *average = map_lookup_elem(&averages, &source);
    if (!average) {
        struct average first = { .mean = size * 8, .deviation = size * 2 };
        map_update_elem(&averages, &source, &first, BPF_ANY);
        return XDP_PASS;
    }
    s64 error = size - (average->mean >> 3);
    average->mean += error;
    if (error < 0)
        error = -error;
    if (error > average->deviation)
        __sync_fetch_and_add(&average->outliers, 1);
    average->deviation += error - (average->deviation >> 2);
    return XDP_PASS;
}

LICENSE;
