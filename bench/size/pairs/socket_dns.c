#include "common.h"

enum { ALL = 0xFFFF, NONE = 0 };

SEC("socket") int socket_dns(struct __sk_buff *skb)
{
    struct udphdr udp;
    u8 first, protocol;
    u32 offset;

    if (skb_load_bytes(skb, 0, &first, 1))
        return NONE;
    if (first >> 4 == 4) {
        if (skb_load_bytes(skb, 9, &protocol, 1))
            return NONE;
        offset = (first & 15) * 4;
    } else if (first >> 4 == 6) {
        if (skb_load_bytes(skb, 6, &protocol, 1))
            return NONE;
        offset = 40;
    } else {
        return NONE;
    }
    if (protocol != IPPROTO_UDP)
        return NONE;
    if (skb_load_bytes(skb, offset, &udp, sizeof(udp)))
        return NONE;
    return udp.source == htons(53) || udp.dest == htons(53) ? ALL : NONE;
}

LICENSE;
