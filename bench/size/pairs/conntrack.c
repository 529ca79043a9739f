#include "common.h"

enum { NEW, ANSWERED, OPEN, CLOSING, CLOSED };
struct tuple { u32 low, high; u16 low_port, high_port; };
struct connection { u64 packets[2], octets[2], changed; u8 state, opener, unused[6]; };
MAP(connections, LRU_HASH, 65536, struct tuple, struct connection);

SEC("xdp") int conntrack(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct tuple key;
    u32 direction;

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->protocol != IPPROTO_TCP)
        return XDP_PASS;
    struct tcphdr *tcp = (void *)ip + ip->ihl * 4;
    if ((void *)(tcp + 1) > data_end)
        return XDP_DROP;
    u32 saddr = ntohl(ip->saddr), daddr = ntohl(ip->daddr);
    u16 source = ntohs(tcp->source), dest = ntohs(tcp->dest);
    if (saddr < daddr || (saddr == daddr && source <= dest)) {
        direction = 0;
        key = (struct tuple){ saddr, daddr, source, dest };
    } else {
        direction = 1;
        key = (struct tuple){ daddr, saddr, dest, source };
    }
    struct connection *connection = map_lookup_elem(&connections, &key);
    if (!connection) {
        if (!tcp->syn || tcp->ack)
            return XDP_DROP;
        struct connection first = { .state = NEW, .opener = direction };
        map_update_elem(&connections, &key, &first, BPF_NOEXIST);
        connection = map_lookup_elem(&connections, &key);
        if (!connection)
            return XDP_DROP;
    }
    __sync_fetch_and_add(&connection->packets[direction], 1);
    __sync_fetch_and_add(&connection->octets[direction], data_end - data);
    u8 state = connection->state;
    if (tcp->rst) {
        state = CLOSED;
    } else {
        switch (state) {
        case NEW:
            if (direction != connection->opener && tcp->syn && tcp->ack)
                state = ANSWERED;
            break;
        case ANSWERED:
            if (direction == connection->opener && tcp->ack)
                state = OPEN;
            break;
        case OPEN:
            if (tcp->fin)
                state = CLOSING;
            break;
        case CLOSING:
            if (tcp->fin && tcp->ack)
                state = CLOSED;
            break;
        default:
            if (tcp->syn && !tcp->ack) {
                state = NEW;
                connection->opener = direction;
            }
        }
    }
    if (state != connection->state) {
        connection->state = state;
        connection->changed = ktime_get_ns();
    }
    return XDP_PASS;
}

LICENSE;
