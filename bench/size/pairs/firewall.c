#include "common.h"

struct rule { u64 dropped; };
MAP(blocked, HASH, 10000, u32, struct rule);

SEC("xdp") int firewall(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end)
        return XDP_DROP;
    u32 address = ip->saddr;
    struct rule *rule = map_lookup_elem(&blocked, &address);
    if (!rule)
        return XDP_PASS;
    __sync_fetch_and_add(&rule->dropped, 1);
    return XDP_DROP;
}

LICENSE;
