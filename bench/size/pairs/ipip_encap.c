#include "common.h"

enum { LOCAL = 0x0A000001, IPPROTO_IPIP = 4 };
MAP(tunnels, HASH, 1024, u32, u32);

SEC("xdp") int ipip_encap(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end)
        return XDP_DROP;
    u32 daddr = ip->daddr;
    u32 *remote = map_lookup_elem(&tunnels, &daddr);
    if (!remote || !*remote)
        return XDP_PASS;
    u32 target = *remote;
    u16 size = htons(ntohs(ip->tot_len) + 20);
    if (xdp_adjust_head(ctx, -20))
        return XDP_DROP;
    data = (void *)(long)ctx->data;
    data_end = (void *)(long)ctx->data_end;
    if (data + 34 > data_end)
        return XDP_DROP;
    struct ethhdr *new = data, *old = data + 20;
    struct iphdr *outer = data + 14;
    u16 *to = data, *from = data + 20;
    for (int i = 0; i < 6; i++)
        to[i] = from[i];
    new->proto = htons(ETH_P_IP);
    *(u16 *)outer = htons(0x4500);
    outer->tot_len = size;
    outer->id = 0;
    outer->frag_off = 0;
    outer->ttl = 64;
    outer->protocol = IPPROTO_IPIP;
    outer->check = 0;
    outer->saddr = htonl(LOCAL);
    outer->daddr = target;
    u32 total = 0;
    u16 *words = (void *)outer;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 10; i++)
        total += words[i];
    total = (total & 0xFFFF) + (total >> 16);
    outer->check = ~(total + (total >> 16));
    return XDP_TX;
}

LICENSE;
