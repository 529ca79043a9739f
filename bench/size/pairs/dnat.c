#include "common.h"

struct target { u32 address; u16 port, unused; };
MAP(forwards, HASH, 1024, u16, struct target);

INLINE u16 folded(u32 total)
{
    total = (total & 0xFFFF) + (total >> 16);
    return (total & 0xFFFF) + (total >> 16);
}

SEC("xdp") int dnat(struct xdp_md *ctx)
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
    u16 port = udp->dest;
    struct target *target = map_lookup_elem(&forwards, &port);
    if (!target)
        return XDP_PASS;
    u32 old = ip->daddr, new = target->address;
    u32 change = (~old >> 16) + (u16)~old + (new >> 16) + (new & 0xFFFF);
    ip->check = ~folded((u16)~ip->check + change);
    ip->daddr = new;
    if (udp->check) {
        change += (u16)~port + target->port;
        udp->check = ~folded((u16)~udp->check + change);
    }
    udp->dest = target->port;
    return XDP_PASS;
}

LICENSE;
