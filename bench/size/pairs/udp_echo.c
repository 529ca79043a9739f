#include "common.h"

enum { PORT = 9999 };

SEC("xdp") int udp_echo(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->protocol != IPPROTO_UDP)
        return XDP_PASS;
    struct udphdr *udp = (void *)ip + ip->ihl * 4;
    if ((void *)(udp + 1) > data_end || udp->dest != htons(PORT))
        return XDP_PASS;
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
    u16 port = udp->source;
    udp->source = udp->dest;
    udp->dest = port;
    return XDP_TX;
}

LICENSE;
