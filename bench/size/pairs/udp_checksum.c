#include "common.h"

enum { MOST = 256 };

SEC("xdp") int udp_checksum(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct udphdr *udp = (void *)(ip + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->ihl != 5 || ip->protocol != IPPROTO_UDP)
        return XDP_PASS;
    if ((void *)(udp + 1) > data_end)
        return XDP_DROP;
    u32 size = ntohs(udp->len);
    if (udp->check == 0 || size > MOST * 2)
        return XDP_PASS;
    u32 total = (ip->saddr >> 16) + (ip->saddr & 0xFFFF) + (ip->daddr >> 16) + (ip->daddr & 0xFFFF) + htons(IPPROTO_UDP) + udp->len;
    u16 *words = (void *)udp;
#pragma clang loop unroll(disable)
    for (u32 i = 0; i < MOST; i++) {
        if (i * 2 + 1 >= size)
            break;
        if ((void *)(words + i + 1) > data_end)
            return XDP_DROP;
        total += words[i];
    }
    if (size & 1) {
        u8 *octet = (u8 *)udp + size - 1;
        if ((void *)(octet + 1) > data_end)
            return XDP_DROP;
        total += *octet;
    }
    total = (total & 0xFFFF) + (total >> 16);
    total = (total & 0xFFFF) + (total >> 16);
    return total == 0xFFFF ? XDP_PASS : XDP_DROP;
}

LICENSE;
