#include "common.h"

enum { MTU = 1200 };
struct key { u32 ifindex; u16 protocol, unused; };
struct traffic { u64 packets, octets, large; };
MAP(traffic, HASH, 1024, struct key, struct traffic);

SEC("tc") int tc_counters(struct __sk_buff *skb)
{
    struct key key = { .ifindex = skb->ifindex, .protocol = skb->protocol };
    struct traffic *entry = map_lookup_elem(&traffic, &key);
    if (!entry) {
        struct traffic none = {};
        map_update_elem(&traffic, &key, &none, BPF_NOEXIST);
        entry = map_lookup_elem(&traffic, &key);
        if (!entry)
            return TC_ACT_SHOT;
    }
    __sync_fetch_and_add(&entry->packets, 1);
    __sync_fetch_and_add(&entry->octets, skb->len);
    if (skb->len > MTU) {
        __sync_fetch_and_add(&entry->large, 1);
        skb->mark = 1;
    }
    skb->cb[0] = skb->hash;
    return TC_ACT_OK;
}

LICENSE;
