/* The program of examples/packet_count.py in C: same map, same checks, same order. Own declarations, so that clang alone is needed. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))

struct xdp_md { u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
struct ethhdr { u8 dst[6], src[6]; u16 proto; };
struct iphdr { u8 version_ihl, tos; u16 tot_len, id, frag_off; u8 ttl, protocol; u16 check; u32 saddr, daddr; };
struct ipv6hdr { u8 version_priority, flow_lbl[3]; u16 payload_len; u8 nexthdr, hop_limit, saddr[16], daddr[16]; };
struct traffic { u64 packets, octets; };

struct {
    int (*type)[6]; /* BPF_MAP_TYPE_PERCPU_ARRAY */
    int (*max_entries)[256];
    u32 *key;
    struct traffic *value;
} traffic SEC(".maps");

static void *(*map_lookup_elem)(void *map, const void *key) = (void *)1;

SEC("xdp") int count(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    u32 protocol;

    if (data + sizeof(*eth) > data_end)
        return 2;
    if (eth->proto == 0x0008) {
        struct iphdr *ip = data + sizeof(*eth);
        if ((void *)(ip + 1) > data_end)
            return 2;
        protocol = ip->protocol;
    } else if (eth->proto == 0xDD86) {
        struct ipv6hdr *ip6 = data + sizeof(*eth);
        if ((void *)(ip6 + 1) > data_end)
            return 2;
        protocol = ip6->nexthdr;
    } else {
        return 2;
    }
    struct traffic *entry = map_lookup_elem(&traffic, &protocol);
    if (!entry)
        return 2;
    entry->packets += 1;
    entry->octets += data_end - data;
    return 2;
}

char gpl[] SEC("license") = "GPL";
