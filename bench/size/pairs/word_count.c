#include "common.h"

enum { MOST = 48 };
struct totals { u64 words, letters, digits; };
MAP(totals, PERCPU_ARRAY, 1, u32, struct totals);

SEC("xdp") int word_count(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    u32 zero = 0;

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->ihl != 5 || ip->protocol != IPPROTO_UDP)
        return XDP_PASS;
    u8 *octets = data + 42;
    if ((void *)octets > data_end)
        return XDP_PASS;
    u64 words = 0, letters = 0, digits = 0;
    int inside = 0;
#pragma clang loop unroll(disable)
    for (int i = 0; i < MOST; i++) {
        if ((void *)(octets + i + 1) > data_end)
            break;
        u8 octet = octets[i];
        if ((octet | 32) >= 'a' && (octet | 32) <= 'z') {
            letters++;
        } else if (octet >= '0' && octet <= '9') {
            digits++;
        } else {
            inside = 0;
            continue;
        }
        if (!inside) {
            words++;
            inside = 1;
        }
    }
    struct totals *total = map_lookup_elem(&totals, &zero);
    if (!total)
        return XDP_PASS;
    total->words += words;
    total->letters += letters;
    total->digits += digits;
    return XDP_PASS;
}

LICENSE;
