#include "common.h"

struct extension { u8 nexthdr, hdrlen; };
enum { IPPROTO_HOPOPTS = 0, IPPROTO_ROUTING = 43, IPPROTO_FRAGMENT = 44, IPPROTO_DSTOPTS = 60 };
MAP(by_protocol, PERCPU_ARRAY, 256, u32, u64);

SEC("xdp") int ipv6_transport(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct ipv6hdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IPV6))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end)
        return XDP_DROP;
    u32 protocol = ip->nexthdr;
    void *next = ip + 1;
    for (int i = 0; i < 4; i++) {
        if (protocol != IPPROTO_HOPOPTS && protocol != IPPROTO_ROUTING && protocol != IPPROTO_DSTOPTS && protocol != IPPROTO_FRAGMENT)
            break;
        struct extension *extension = next;
        if ((void *)(extension + 1) > data_end)
            return XDP_DROP;
        next += protocol == IPPROTO_FRAGMENT ? 8 : (extension->hdrlen + 1) * 8;
        protocol = extension->nexthdr;
    }
    u64 *count = map_lookup_elem(&by_protocol, &protocol);
    if (count)
        *count += 1;
    return XDP_PASS;
}

LICENSE;
