#include "common.h"

enum { PORT = 4789, VALID = 0x08000000 };
MAP(networks, HASH, 1024, u32, u64);

SEC("xdp") int vxlan_count(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct udphdr *udp = (void *)(ip + 1);
    struct vxlanhdr *vxlan = (void *)(udp + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->ihl != 5 || ip->protocol != IPPROTO_UDP)
        return XDP_PASS;
    if ((void *)(udp + 1) > data_end || udp->dest != htons(PORT))
        return XDP_PASS;
    if ((void *)(vxlan + 1) > data_end || !(vxlan->flags & htonl(VALID)))
        return XDP_DROP;
    u32 number = ntohl(vxlan->vni) >> 8;
    u64 *octets = map_lookup_elem(&networks, &number);
    if (!octets)
        return XDP_DROP;
    __sync_fetch_and_add(octets, data_end - data);
    return XDP_PASS;
}

LICENSE;
