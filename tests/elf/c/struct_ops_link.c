/* The same as a link. */
#include "defs.h"

struct sock;
struct tcp_congestion_ops {
    u32 (*ssthresh)(struct sock *sk);
    void (*cong_avoid)(struct sock *sk, u32 ack, u32 acked);
    u32 (*undo_cwnd)(struct sock *sk);
    char name[16];
};

SEC("struct_ops") u32 slow_start(u64 *ctx) { return 2; }
SEC("struct_ops") void avoid(u64 *ctx) { }
SEC("struct_ops") u32 undo(u64 *ctx) { return 10; }

SEC(".struct_ops.link") struct tcp_congestion_ops pb_linked = {
    .ssthresh = (void *)slow_start, .cong_avoid = (void *)avoid, .undo_cwnd = (void *)undo, .name = "pb_linked"};

LICENSE;
