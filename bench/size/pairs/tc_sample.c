#include "common.h"

struct sample { u32 ifindex, size, mark, saddr, daddr; u16 total; u8 protocol, ttl; };
MAP(samples, PERF_EVENT_ARRAY, 1, u32, u32);

SEC("tc") int tc_sample(struct __sk_buff *skb)
{
    if (get_prandom_u32() & 7)
        return TC_ACT_OK;
    void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return TC_ACT_OK;
    if ((void *)(ip + 1) > data_end)
        return TC_ACT_OK;
    struct sample sample = {
        .ifindex = skb->ifindex, .size = skb->len, .mark = skb->mark, .saddr = ip->saddr, .daddr = ip->daddr,
        .total = ntohs(ip->tot_len), .protocol = ip->protocol, .ttl = ip->ttl,
    };
    perf_event_output(skb, &samples, BPF_F_CURRENT_CPU, &sample, sizeof(sample));
    return TC_ACT_OK;
}

LICENSE;
