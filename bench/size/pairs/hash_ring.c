#include "common.h"

enum { PLACES = 251 };
MAP(ring, ARRAY, 251, u32, u32);
MAP(sent, PERCPU_ARRAY, 16, u32, u64);

SEC("xdp") int hash_ring(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP))
        return XDP_PASS;
    struct udphdr *ports = (void *)ip + ip->ihl * 4;
    if ((void *)(ports + 1) > data_end)
        return XDP_DROP;
    u64 state = (u64)ntohl(ip->saddr) << 32 | ntohl(ip->daddr);
    state = (state ^ state >> 33) * 0xFF51AFD7ED558CCDull;
    state ^= (u32)ntohs(ports->source) << 16 | ntohs(ports->dest);
    state = (state ^ state >> 33) * 0xC4CEB9FE1A85EC53ull;
    u32 place = (u32)(state >> 32) % PLACES;
    u32 *entry = map_lookup_elem(&ring, &place);
    u32 server = entry ? *entry : 0;
    if (server >= 16)
        return XDP_ABORTED;
    u64 *count = map_lookup_elem(&sent, &server);
    if (count)
        *count += 1;
    return redirect(server + 100, 0);
}

LICENSE;
