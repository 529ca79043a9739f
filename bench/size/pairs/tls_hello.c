#include "common.h"

enum { HANDSHAKE = 22, CLIENT_HELLO = 1 };
struct hello { u8 content; u16 record_version, record_length; u8 kind, length_high; u16 length_low, version; } __attribute__((packed));
MAP(versions, HASH, 16, u16, u64);

SEC("socket") int tls_hello(struct __sk_buff *skb)
{
    struct tcphdr tcp;
    struct hello hello;
    u8 first, protocol;

    if (skb_load_bytes(skb, 0, &first, 1) || first >> 4 != 4)
        return 0;
    if (skb_load_bytes(skb, 9, &protocol, 1) || protocol != IPPROTO_TCP)
        return 0;
    u32 start = (first & 15) * 4;
    if (skb_load_bytes(skb, start, &tcp, sizeof(tcp)))
        return 0;
    if (skb_load_bytes(skb, start + tcp.doff * 4, &hello, sizeof(hello)))
        return 0;
    if (hello.content != HANDSHAKE || hello.kind != CLIENT_HELLO)
        return 0;
    u16 version = ntohs(hello.version);
    u64 *count = map_lookup_elem(&versions, &version);
    if (!count) {
        u64 zero = 0;
        map_update_elem(&versions, &version, &zero, BPF_NOEXIST);
        count = map_lookup_elem(&versions, &version);
        if (!count)
            return skb->len;
    }
    __sync_fetch_and_add(count, 1);
    return skb->len;
}

LICENSE;
