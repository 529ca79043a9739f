#include "common.h"

struct talker { u32 address, packets; };
struct table { struct talker talkers[8]; u64 replaced; };
MAP(tables, PERCPU_ARRAY, 1, u32, struct table);

SEC("xdp") int top_talkers(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    u32 zero = 0, place = 0, least = 0xFFFFFFFF;

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end)
        return XDP_PASS;
    u32 address = ntohl(ip->saddr);
    struct table *table = map_lookup_elem(&tables, &zero);
    if (!table)
        return XDP_PASS;
#pragma clang loop unroll(disable)
    for (u32 i = 0; i < 8; i++) {
        struct talker *talker = &table->talkers[i];
        if (talker->address == address) {
            talker->packets += 1;
            return XDP_PASS;
        }
        if (talker->packets < least) {
            least = talker->packets;
            place = i;
        }
    }
    table->replaced += 1;
    table->talkers[place & 7].address = address;
    table->talkers[place & 7].packets += 1;
    return XDP_PASS;
}

LICENSE;
