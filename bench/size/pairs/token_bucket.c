#include "common.h"

enum { BURST = 20, NS_PER_TOKEN = 10000000 };
struct bucket { u64 tokens, filled; };
MAP(buckets, LRU_HASH, 65536, u32, struct bucket);

SEC("xdp") int token_bucket(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end)
        return XDP_DROP;
    u64 now = ktime_get_ns();
    u32 source = ip->saddr;
    struct bucket *bucket = map_lookup_elem(&buckets, &source);
    if (!bucket) {
        struct bucket first = { .tokens = BURST - 1, .filled = now };
        map_update_elem(&buckets, &source, &first, BPF_ANY);
        return XDP_PASS;
    }
    u64 fresh = (now - bucket->filled) / NS_PER_TOKEN;
    if (fresh > 0) {
        u64 tokens = bucket->tokens + fresh;
        bucket->tokens = tokens < BURST ? tokens : BURST;
        bucket->filled = now;
    }
    if (bucket->tokens == 0)
        return XDP_DROP;
    __sync_fetch_and_sub(&bucket->tokens, 1);
    return XDP_PASS;
}

LICENSE;
