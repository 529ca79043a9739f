#include "common.h"

enum { FIN = 1, RST = 4 };
struct key { u32 saddr, daddr; u16 source, dest; };
struct flow { u64 packets, octets, first, last; u32 flags, ifindex; };
struct ended { struct key key; u32 unused; struct flow flow; };
MAP(flows, HASH, 65536, struct key, struct flow);
MAP(ended, PERF_EVENT_ARRAY, 1, u32, u32);

SEC("tc") int flow_record(struct __sk_buff *skb)
{
    void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return TC_ACT_OK;
    if ((void *)(ip + 1) > data_end || ip->protocol != IPPROTO_TCP)
        return TC_ACT_OK;
    struct tcphdr *tcp = (void *)ip + ip->ihl * 4;
    if ((void *)(tcp + 1) > data_end)
        return TC_ACT_OK;
    u8 flags = ((u8 *)tcp)[13];
    u64 now = ktime_get_ns();
    struct key key = { ip->saddr, ip->daddr, tcp->source, tcp->dest };
    struct flow *flow = map_lookup_elem(&flows, &key);
    if (!flow) {
        struct flow first = { .packets = 1, .octets = skb->len, .first = now, .last = now, .flags = flags, .ifindex = skb->ifindex };
        map_update_elem(&flows, &key, &first, BPF_ANY);
        return TC_ACT_OK;
    }
    __sync_fetch_and_add(&flow->packets, 1);
    __sync_fetch_and_add(&flow->octets, skb->len);
    flow->last = now;
    __sync_fetch_and_or(&flow->flags, flags);
    if (flags & (FIN | RST)) {
        struct ended event = { .key = key, .flow = *flow };
        perf_event_output(skb, &ended, BPF_F_CURRENT_CPU, &event, sizeof(event));
        map_delete_elem(&flows, &key);
    }
    return TC_ACT_OK;
}

LICENSE;
