#include "common.h"

enum { VIP = 0x0A000002, BACKENDS = 4 };
#define SEED (0xDEADBEEF + 12)
struct flow { u32 saddr; u16 source, dest; };
MAP(flows, LRU_HASH, 65536, struct flow, u32);
MAP(backends, ARRAY, 4, u32, u32);

INLINE u32 rotated(u32 x, u32 by)
{
    return x << by | x >> (32 - by);
}

INLINE u32 jhash(u32 a, u32 b, u32 c)
{
    a += SEED;
    b += SEED;
    c += SEED;
    c ^= b; c -= rotated(b, 14);
    a ^= c; a -= rotated(c, 11);
    b ^= a; b -= rotated(a, 25);
    c ^= b; c -= rotated(b, 16);
    a ^= c; a -= rotated(c, 4);
    b ^= a; b -= rotated(a, 14);
    c ^= b; c -= rotated(b, 24);
    return c;
}

SEC("xdp") int load_balancer(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct tcphdr *tcp = (void *)(ip + 1);
    u32 target;

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->ihl != 5 || ip->protocol != IPPROTO_TCP || ip->daddr != htonl(VIP))
        return XDP_PASS;
    if ((void *)(tcp + 1) > data_end)
        return XDP_DROP;
    struct flow key = { .saddr = ip->saddr, .source = tcp->source, .dest = tcp->dest };
    u32 *known = map_lookup_elem(&flows, &key);
    if (known && *known) {
        target = *known;
    } else {
        u32 index = jhash(ntohl(ip->saddr), ntohs(tcp->source) << 16 | ntohs(tcp->dest), IPPROTO_TCP) % BACKENDS;
        u32 *backend = map_lookup_elem(&backends, &index);
        target = backend ? *backend : 0;
        map_update_elem(&flows, &key, &target, BPF_ANY);
    }
    u32 total = (u16)~ip->check + (u16)~(htonl(VIP) >> 16) + (u16)~(htonl(VIP) & 0xFFFF) + (target >> 16) + (target & 0xFFFF);
    total = (total & 0xFFFF) + (total >> 16);
    total = (total & 0xFFFF) + (total >> 16);
    ip->check = ~total;
    ip->daddr = target;
    return XDP_TX;
}

LICENSE;
