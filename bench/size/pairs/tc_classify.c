#include "common.h"

enum { INTERACTIVE, NAMES, WEB, BULK };
MAP(octets, PERCPU_ARRAY, 4, u32, u64);

SEC("tc") int tc_classify(struct __sk_buff *skb)
{
    void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
    struct ethhdr *eth = data;
    struct udphdr *ports;
    u32 protocol, kind;

    if ((void *)(eth + 1) > data_end)
        return TC_ACT_OK;
    if (eth->proto == htons(ETH_P_IP)) {
        struct iphdr *ip = (void *)(eth + 1);
        if ((void *)(ip + 1) > data_end)
            return TC_ACT_SHOT;
        protocol = ip->protocol;
        ports = (void *)ip + ip->ihl * 4;
    } else if (eth->proto == htons(ETH_P_IPV6)) {
        struct ipv6hdr *ip6 = (void *)(eth + 1);
        if ((void *)(ip6 + 1) > data_end)
            return TC_ACT_SHOT;
        protocol = ip6->nexthdr;
        ports = (void *)(ip6 + 1);
    } else {
        return TC_ACT_OK;
    }
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
        return TC_ACT_OK;
    if ((void *)(ports + 1) > data_end)
        return TC_ACT_SHOT;
    switch (ntohs(ports->dest)) {
    case 22:
        kind = INTERACTIVE;
        break;
    case 53:
    case 123:
        kind = NAMES;
        break;
    case 80:
    case 443:
    case 8080:
        kind = WEB;
        break;
    default:
        kind = BULK;
    }
    skb->priority = 6 - kind;
    skb->mark = kind;
    u64 *count = map_lookup_elem(&octets, &kind);
    if (count)
        *count += skb->len;
    return TC_ACT_OK;
}

LICENSE;
