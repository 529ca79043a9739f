#include "common.h"

enum { OPEN, ACCEPT, CLOSE, RESET, OTHER };
MAP(kinds, PERCPU_ARRAY, 5, u32, u64);

SEC("xdp") int tcp_flags(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    u32 kind;

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->protocol != IPPROTO_TCP)
        return XDP_PASS;
    struct tcphdr *tcp = (void *)ip + ip->ihl * 4;
    if ((void *)(tcp + 1) > data_end)
        return XDP_PASS;
    if (tcp->rst)
        kind = RESET;
    else if (tcp->syn)
        kind = tcp->ack ? ACCEPT : OPEN;
    else if (tcp->fin)
        kind = CLOSE;
    else
        kind = OTHER;
    u64 *count = map_lookup_elem(&kinds, &kind);
    if (count)
        *count += 1;
    return XDP_PASS;
}

LICENSE;
