#include "common.h"

struct ports { u16 source, dest; };
MAP(verdicts, PERCPU_ARRAY, 4, u32, u64);

static u32 weight(u32 port, u32 protocol)
{
    if (port == 0)
        return 10;
    if (protocol == 6) {
        if (port == 22 || port == 23 || port == 3389)
            return 7;
        if (port == 25 || port == 465 || port == 587)
            return 5;
        if (port >= 6000 && port <= 6063)
            return 6;
    }
    if (protocol == 17) {
        if (port == 19 || port == 111 || port == 389 || port == 1900 || port == 11211)
            return 9;
        if (port == 53 || port == 123)
            return 3;
    }
    if (port < 1024)
        return 2;
    return port < 49152 ? 1 : 0;
}

SEC("xdp") int checked_ports(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct ports *ports = (void *)(ip + 1), *inner = data + 84;

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->ihl != 5)
        return XDP_PASS;
    if ((void *)(ports + 1) > data_end)
        return XDP_DROP;
    u32 total = weight(ntohs(ports->dest), ip->protocol) * 2 + weight(ntohs(ports->source), ip->protocol);
    if ((void *)(inner + 1) <= data_end)
        total += weight(ntohs(inner->dest), 6);
    u32 verdict = total / 8;
    if (verdict > 3)
        verdict = 3;
    u64 *count = map_lookup_elem(&verdicts, &verdict);
    if (count)
        *count += 1;
    return total > 20 ? XDP_DROP : XDP_PASS;
}

LICENSE;
