/* Operations of the kernel as a map: a TCP congestion control, with programs, text, numbers and what is left out. */
#include "defs.h"

struct sock;
struct tcp_congestion_ops {
    u32 (*ssthresh)(struct sock *sk);
    void (*cong_avoid)(struct sock *sk, u32 ack, u32 acked);
    u32 (*undo_cwnd)(struct sock *sk);
    void (*init)(struct sock *sk);
    char name[16];
    u32 flags;
};

static NOINLINE u32 half(u32 a)
{
    opaque(a);
    return a > 3 ? a / 2 : 2;
}

SEC("struct_ops/slow_start") u32 slow_start(u64 *ctx)
{
    return half(20);
}

SEC("struct_ops") void avoid(u64 *ctx)
{
}

SEC("struct_ops") u32 undo(u64 *ctx)
{
    return half(10);
}

SEC(".struct_ops") struct tcp_congestion_ops pb_halving = {
    .ssthresh = (void *)slow_start, .cong_avoid = (void *)avoid, .undo_cwnd = (void *)undo, .name = "pb_halving"};

LICENSE;
