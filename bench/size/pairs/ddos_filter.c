#include "common.h"

enum { PASSED, BLOCKED, BAD_HEADER, BAD_FLAGS, FRAGMENT, AMPLIFIED, TOO_MANY, OTHER, BUDGET = 4 };
struct source { u64 high, low; };
struct budget { u32 second, packets; };
MAP(blocked, HASH, 10000, struct source, u8);
MAP(budgets, LRU_HASH, 100000, struct source, struct budget);
MAP(verdicts, PERCPU_ARRAY, 8, u32, u64);

INLINE u32 judged(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct source source = {};
    void *next = data + 14;
    u32 protocol;

    if ((void *)(eth + 1) > data_end)
        return BAD_HEADER;
    u16 proto = eth->proto;
    if (proto == htons(ETH_P_8021Q) || proto == htons(ETH_P_8021AD)) {
        struct vlanhdr *tag = next;
        if ((void *)(tag + 1) > data_end)
            return BAD_HEADER;
        proto = tag->proto;
        next = tag + 1;
    }
    if (proto == htons(ETH_P_IP)) {
        struct iphdr *ip = next;
        if ((void *)(ip + 1) > data_end || ip->version != 4 || ip->ihl < 5)
            return BAD_HEADER;
        if (ip->frag_off & htons(0x1FFF))
            return FRAGMENT;
        source.low = (u64)ip->saddr << 32;
        protocol = ip->protocol;
        next += ip->ihl * 4;
    } else if (proto == htons(ETH_P_IPV6)) {
        struct ipv6hdr *ip6 = next;
        if ((void *)(ip6 + 1) > data_end || ip6->version != 6)
            return BAD_HEADER;
        source.high = *(u64 *)ip6->saddr;
        source.low = *(u64 *)(ip6->saddr + 8);
        protocol = ip6->nexthdr;
        next += 40;
    } else {
        return OTHER;
    }
    if (map_lookup_elem(&blocked, &source))
        return BLOCKED;
    if (protocol == IPPROTO_TCP) {
        struct tcphdr *tcp = next;
        if ((void *)(tcp + 1) > data_end || tcp->doff < 5)
            return BAD_HEADER;
        if (tcp->syn && (tcp->fin || tcp->rst))
            return BAD_FLAGS;
        if (!(tcp->syn || tcp->ack || tcp->rst || tcp->fin))
            return BAD_FLAGS;
    } else if (protocol == IPPROTO_UDP) {
        struct udphdr *udp = next;
        if ((void *)(udp + 1) > data_end)
            return BAD_HEADER;
        switch (udp->source) {
        case htons(19):
        case htons(53):
        case htons(111):
        case htons(123):
        case htons(389):
        case htons(1900):
        case htons(11211):
            if (ntohs(udp->len) > 512)
                return AMPLIFIED;
        }
    }
    u32 now = ktime_get_ns() >> 30;
    struct budget *budget = map_lookup_elem(&budgets, &source);
    if (!budget) {
        struct budget first = { .second = now, .packets = 1 };
        map_update_elem(&budgets, &source, &first, BPF_ANY);
        return PASSED;
    }
    if (budget->second != now) {
        budget->second = now;
        budget->packets = 1;
        return PASSED;
    }
    if (budget->packets >= BUDGET)
        return TOO_MANY;
    __sync_fetch_and_add(&budget->packets, 1);
    return PASSED;
}

SEC("xdp") int ddos_filter(struct xdp_md *ctx)
{
    u32 verdict = judged(ctx);
    u64 *count = map_lookup_elem(&verdicts, &verdict);
    if (count)
        *count += 1;
    return verdict == PASSED || verdict == OTHER ? XDP_PASS : XDP_DROP;
}

LICENSE;
