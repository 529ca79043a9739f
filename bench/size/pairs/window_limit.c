#include "common.h"

enum { LIMIT = 3 };
struct window { u32 number, packets; };
MAP(windows, HASH, 65536, u16, struct window);

SEC("xdp") int window_limit(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->protocol != IPPROTO_UDP)
        return XDP_PASS;
    struct udphdr *udp = (void *)ip + ip->ihl * 4;
    if ((void *)(udp + 1) > data_end)
        return XDP_DROP;
    u32 number = ktime_get_ns() >> 30;
    u16 port = udp->source;
    struct window *window = map_lookup_elem(&windows, &port);
    if (!window) {
        struct window first = { .number = number, .packets = 1 };
        map_update_elem(&windows, &port, &first, BPF_ANY);
        return XDP_PASS;
    }
    if (window->number != number) {
        window->number = number;
        window->packets = 0;
    }
    if (window->packets >= LIMIT)
        return XDP_DROP;
    __sync_fetch_and_add(&window->packets, 1);
    return XDP_PASS;
}

LICENSE;
