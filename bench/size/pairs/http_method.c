#include "common.h"

#define WORD(a, b, c, d) ((u32)(a) | (b) << 8 | (c) << 16 | (d) << 24)
MAP(methods, PERCPU_ARRAY, 5, u32, u64);

SEC("xdp") int http_method(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    u32 number;

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->protocol != IPPROTO_TCP)
        return XDP_PASS;
    struct tcphdr *tcp = (void *)ip + ip->ihl * 4;
    if ((void *)(tcp + 1) > data_end)
        return XDP_PASS;
    u32 *word = (void *)tcp + tcp->doff * 4;
    if ((void *)(word + 1) > data_end)
        return XDP_PASS;
    switch (*word) {
    case WORD('G', 'E', 'T', ' '):
        number = 0;
        break;
    case WORD('P', 'O', 'S', 'T'):
        number = 1;
        break;
    case WORD('H', 'E', 'A', 'D'):
        number = 2;
        break;
    case WORD('P', 'U', 'T', ' '):
        number = 3;
        break;
    default:
        number = 4;
    }
    u64 *count = map_lookup_elem(&methods, &number);
    if (count)
        *count += 1;
    return XDP_PASS;
}

LICENSE;
