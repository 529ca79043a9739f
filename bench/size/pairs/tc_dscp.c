#include "common.h"

enum { EXPEDITED = 46 << 2 };

SEC("tc") int tc_dscp(struct __sk_buff *skb)
{
    void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return TC_ACT_OK;
    if ((void *)(ip + 1) > data_end || ip->protocol != IPPROTO_TCP)
        return TC_ACT_OK;
    struct tcphdr *tcp = (void *)ip + ip->ihl * 4;
    if ((void *)(tcp + 1) > data_end || tcp->dest != htons(443))
        return TC_ACT_OK;
    u16 first = *(u16 *)ip;
    u16 marked = (first & htons(0xFF03)) | htons(EXPEDITED);
    ip->tos = (ip->tos & 3) | EXPEDITED;
    u32 total = (u16)~ip->check + (u16)~first + marked;
    total = (total & 0xFFFF) + (total >> 16);
    total = (total & 0xFFFF) + (total >> 16);
    ip->check = ~total;
    return TC_ACT_OK;
}

LICENSE;
