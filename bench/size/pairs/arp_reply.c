#include "common.h"

enum { ARPOP_REQUEST = 1, ARPOP_REPLY = 2, ADDRESS = 0x0A000001 };

struct mac { u16 part[3]; };
struct arp { u32 kinds; u16 lengths, op; struct mac sha; u16 sip[2]; struct mac tha; u16 tip[2]; };
struct eth { struct mac dst, src; u16 proto; };

SEC("xdp") int arp_reply(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct eth *eth = data;
    struct arp *arp = (void *)(eth + 1);
    struct mac mine = { { htons(0x0200), 0, htons(1) } };

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_ARP))
        return XDP_PASS;
    if ((void *)(arp + 1) > data_end || arp->op != htons(ARPOP_REQUEST) || *(u32 *)arp->tip != htonl(ADDRESS))
        return XDP_PASS;
    arp->op = htons(ARPOP_REPLY);
    arp->tha = arp->sha;
    *(u32 *)arp->tip = *(u32 *)arp->sip;
    arp->sha = mine;
    *(u32 *)arp->sip = htonl(ADDRESS);
    eth->dst = eth->src;
    eth->src = mine;
    return XDP_TX;
}

LICENSE;
