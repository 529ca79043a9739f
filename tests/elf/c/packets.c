/* Packets: direct access, loops, byte order, a switch. */
#include "defs.h"

struct ethernet { u8 to[6], from[6]; u16 protocol; };
struct ipv4 { u8 ihl : 4, version : 4, tos; u16 length, id, fragment; u8 ttl, protocol; u16 check; u32 from, to; };
struct { NUMBER(type, PERCPU_ARRAY); NUMBER(max_entries, 256); TYPE(key, u32); TYPE(value, u64); } protocols SEC(".maps");

static const u8 weights[8] = {1, 1, 2, 3, 5, 8, 13, 21};

SEC("xdp") int parse(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethernet *eth = data;
    struct ipv4 *ip = (void *)(eth + 1);
    u32 key, sum = 0;
    u64 *count;
    if ((void *)(ip + 1) > end || eth->protocol != __builtin_bswap16(0x800))
        return XDP_PASS;
    key = ip->protocol;
    count = map_lookup_elem(&protocols, &key);
    if (count)
        *count += __builtin_bswap16(ip->length);
#pragma clang loop unroll(disable)
    for (u32 at = 0; at < 20; at++)
        sum += ((u8 *)ip)[at] * weights[at & 7];
    switch (ip->protocol) {
    case 1: return sum % 7;
    case 6: return XDP_PASS;
    case 17: return sum & 1 ? XDP_DROP : XDP_PASS;
    default: return sum / (key | 1) > 9;
    }
}

LICENSE;
