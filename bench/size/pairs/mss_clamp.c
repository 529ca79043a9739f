#include "common.h"

enum { END = 0, NOP = 1, MSS = 2, MOST = 1400 };
struct option { u8 kind, size; };

SEC("xdp") int mss_clamp(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct tcphdr *tcp = (void *)(ip + 1);

    if ((void *)(eth + 1) > data_end || eth->proto != htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > data_end || ip->ihl != 5 || ip->protocol != IPPROTO_TCP)
        return XDP_PASS;
    if ((void *)(tcp + 1) > data_end || !tcp->syn)
        return XDP_PASS;
    u32 at = 54, end = 34 + tcp->doff * 4;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 10 && at < end; i++) {
        struct option *option = data + at;
        if ((void *)(option + 1) > data_end || option->kind == END)
            break;
        if (option->kind == NOP) {
            at += 1;
            continue;
        }
        if (option->size < 2)
            break;
        if (option->kind == MSS) {
            u16 *value = (void *)(option + 1);
            if ((void *)(value + 1) > data_end)
                break;
            u16 old = *value;
            if (ntohs(old) > MOST) {
                *value = htons(MOST);
                u32 total = (u16)~tcp->check + (u16)~old + htons(MOST);
                total = (total & 0xFFFF) + (total >> 16);
                total = (total & 0xFFFF) + (total >> 16);
                tcp->check = ~total;
            }
            break;
        }
        at += option->size;
    }
    return XDP_PASS;
}

LICENSE;
