#include "common.h"

enum { ICMP_ECHOREPLY = 0, ICMP_ECHO = 8 };

SEC("xdp") int ping_reply(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct icmphdr *icmp = (void *)(ip + 1);
    u8 mac[6];

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->ihl != 5 || ip->protocol != IPPROTO_ICMP)
        return XDP_PASS;
    if ((void *)(icmp + 1) > data_end || icmp->type != ICMP_ECHO)
        return XDP_PASS;
    memcpy(mac, eth->dst, 6);
    memcpy(eth->dst, eth->src, 6);
    memcpy(eth->src, mac, 6);
    u32 address = ip->saddr;
    ip->saddr = ip->daddr;
    ip->daddr = address;
    icmp->type = ICMP_ECHOREPLY;
    u32 total = icmp->checksum + htons(ICMP_ECHO << 8);
    icmp->checksum = total + (total >> 16);
    return XDP_TX;
}

LICENSE;
