#include "common.h"

#define SECRET0 0x736F6D6570736575ull
#define SECRET1 0x646F72616E646F6Dull
enum { PORT = 80 };

INLINE u64 rotated(u64 x, u32 by)
{
    return x << by | x >> (64 - by);
}

INLINE u32 cookie_of(u32 saddr, u32 daddr, u32 ports)
{
    u64 a = SECRET0 ^ ((u64)saddr << 32 | daddr), b = SECRET1 ^ ports;
    for (int i = 0; i < 3; i++) {
        a += b;
        b = rotated(b, 13) ^ a;
        a = rotated(a, 32);
        a += b;
        b = rotated(b, 17) ^ a;
    }
    return (a ^ b) >> 16;
}

SEC("xdp") int syn_cookie(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct tcphdr *tcp = (void *)(ip + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->ihl != 5 || ip->protocol != IPPROTO_TCP)
        return XDP_PASS;
    if ((void *)(tcp + 1) > data_end || tcp->doff != 5 || tcp->dest != htons(PORT) || !tcp->syn || tcp->ack)
        return XDP_PASS;
    u32 cookie = cookie_of(ntohl(ip->saddr), ntohl(ip->daddr), ntohs(tcp->source) << 16 | ntohs(tcp->dest));
    u16 *words = data;
    u16 a = words[0], b = words[1], c = words[2];
    words[0] = words[3];
    words[1] = words[4];
    words[2] = words[5];
    words[3] = a;
    words[4] = b;
    words[5] = c;
    u32 address = ip->saddr;
    ip->saddr = ip->daddr;
    ip->daddr = address;
    u16 port = tcp->source;
    tcp->source = tcp->dest;
    tcp->dest = port;
    tcp->ack_seq = htonl(ntohl(tcp->seq) + 1);
    tcp->seq = htonl(cookie);
    tcp->ack = 1;
    tcp->window = 0;
    tcp->check = 0;
    u32 total = htons(IPPROTO_TCP + 20);
    for (int i = 0; i < 4; i++)
        total += ((u16 *)&ip->saddr)[i];
#pragma clang loop unroll(disable)
    for (int i = 0; i < 10; i++)
        total += ((u16 *)tcp)[i];
    total = (total & 0xFFFF) + (total >> 16);
    total = (total & 0xFFFF) + (total >> 16);
    tcp->check = ~total;
    return XDP_TX;
}

LICENSE;
