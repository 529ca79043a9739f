/* What the C halves share: integer types, contexts, packet headers, map declarations, helpers. Written for this benchmark from the
   kernel's documented layouts, so that clang alone is needed. Headers have natural alignment (the kernel's own `struct ethhdr` is
   packed, which costs clang more). */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define NULL ((void *)0)
#define LICENSE char _license[] SEC("license") = "GPL"

#define htons(x) ((u16)__builtin_bswap16(x))
#define ntohs(x) ((u16)__builtin_bswap16(x))
#define htonl(x) ((u32)__builtin_bswap32(x))
#define ntohl(x) ((u32)__builtin_bswap32(x))
#define memcpy __builtin_memcpy
#define memset __builtin_memset

/* contexts */
struct xdp_md { u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
struct __sk_buff {
    u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority, ingress_ifindex, ifindex, tc_index;
    u32 cb[5], hash, tc_classid, data, data_end, napi_id, family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4];
    u32 remote_port, local_port, data_meta;
};

/* packet headers */
struct ethhdr { u8 dst[6], src[6]; u16 proto; };
struct vlanhdr { u16 tci, proto; };
struct arphdr { u16 hrd, pro; u8 hln, pln; u16 op; u8 sha[6], sip[4], tha[6], tip[4]; };
struct iphdr {
    u8 ihl : 4, version : 4, tos;
    u16 tot_len, id, frag_off;
    u8 ttl, protocol;
    u16 check;
    u32 saddr, daddr;
};
struct ipv6hdr { u8 priority : 4, version : 4, flow_lbl[3]; u16 payload_len; u8 nexthdr, hop_limit, saddr[16], daddr[16]; };
struct tcphdr {
    u16 source, dest;
    u32 seq, ack_seq;
    u8 ae : 1, res1 : 3, doff : 4;
    u8 fin : 1, syn : 1, rst : 1, psh : 1, ack : 1, urg : 1, ece : 1, cwr : 1;
    u16 window, check, urg_ptr;
};
struct udphdr { u16 source, dest, len, check; };
struct icmphdr { u8 type, code; u16 checksum, id, sequence; };
struct vxlanhdr { u32 flags, vni; };
struct grehdr { u16 flags, protocol; };

enum { ETH_P_IP = 0x0800, ETH_P_ARP = 0x0806, ETH_P_8021Q = 0x8100, ETH_P_IPV6 = 0x86DD, ETH_P_8021AD = 0x88A8 };
enum { IPPROTO_ICMP = 1, IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_GRE = 47, IPPROTO_ICMPV6 = 58 };
enum { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };
enum { TC_ACT_OK = 0, TC_ACT_SHOT = 2, TC_ACT_PIPE = 3 };

/* maps: the names are those of the Python half, which gives type and sizes to both; the rest is for readers */
#define MAP(name, kind, entries, K, V) \
    struct { int (*type)[kind]; int (*max_entries)[entries]; K *key; V *value; } name SEC(".maps")
enum { HASH = 1, ARRAY = 2, PERF_EVENT_ARRAY = 4, PERCPU_HASH = 5, PERCPU_ARRAY = 6, LRU_HASH = 9, DEVMAP = 14 };
enum { BPF_ANY, BPF_NOEXIST, BPF_EXIST };
#define BPF_F_CURRENT_CPU 0xFFFFFFFFull

/* helpers by number (include/uapi/linux/bpf.h) */
static void *(*map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*map_delete_elem)(void *map, const void *key) = (void *)3;
static u64 (*ktime_get_ns)(void) = (void *)5;
static u32 (*get_prandom_u32)(void) = (void *)7;
static u32 (*get_smp_processor_id)(void) = (void *)8;
static long (*skb_store_bytes)(void *skb, u32 offset, const void *from, u32 len, u64 flags) = (void *)9;
static long (*l3_csum_replace)(void *skb, u32 offset, u64 from, u64 to, u64 size) = (void *)10;
static u64 (*get_current_pid_tgid)(void) = (void *)14;
static u64 (*get_current_uid_gid)(void) = (void *)15;
static long (*get_current_comm)(void *buf, u32 size) = (void *)16;
static long (*redirect)(u32 ifindex, u64 flags) = (void *)23;
static long (*perf_event_output)(void *ctx, void *map, u64 flags, void *data, u64 size) = (void *)25;
static long (*skb_load_bytes)(const void *skb, u32 offset, void *to, u32 len) = (void *)26;
static long (*xdp_adjust_head)(void *ctx, int delta) = (void *)44;
static long (*redirect_map)(void *map, u64 key, u64 flags) = (void *)51;
static long (*xdp_adjust_tail)(void *ctx, int delta) = (void *)65;
