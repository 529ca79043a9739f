#include "common.h"

enum { LIMIT = 20 };
struct totals { u64 requests, dropped; };
MAP(requests, LRU_HASH, 10000, u32, u64);
MAP(totals, PERCPU_ARRAY, 1, u32, struct totals);

SEC("xdp") int syn_limit(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    u32 zero = 0;

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->protocol != IPPROTO_TCP)
        return XDP_PASS;
    struct tcphdr *tcp = (void *)ip + ip->ihl * 4;
    if ((void *)(tcp + 1) > data_end || !tcp->syn || tcp->ack)
        return XDP_PASS;
    struct totals *total = map_lookup_elem(&totals, &zero);
    if (!total)
        return XDP_PASS;
    total->requests += 1;
    u32 source = ip->saddr;
    u64 *found = map_lookup_elem(&requests, &source);
    u64 seen = found ? *found : 0;
    if (seen >= LIMIT) {
        total->dropped += 1;
        return XDP_DROP;
    }
    seen += 1;
    map_update_elem(&requests, &source, &seen, BPF_ANY);
    return XDP_PASS;
}

LICENSE;
