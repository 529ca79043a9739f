#include "common.h"

struct args { u64 common; char comm[16]; s32 pid, prio; };
MAP(started, HASH, 10240, s32, u64);
MAP(lifetimes, ARRAY, 32, u32, u64);

SEC("tracepoint/sched/sched_process_exit") int exit_lifetime(struct args *ctx)
{
    s32 pid = ctx->pid;
    u64 *start = map_lookup_elem(&started, &pid);
    if (!start)
        return 0;
    u64 milliseconds = (ktime_get_ns() - *start) / 1000000;
    u32 slot = 0;
    for (; slot < 31 && milliseconds > 1; slot++)
        milliseconds >>= 1;
    u64 *count = map_lookup_elem(&lifetimes, &slot);
    if (count)
        __sync_fetch_and_add(count, 1);
    map_delete_elem(&started, &pid);
    return 0;
}

LICENSE;
