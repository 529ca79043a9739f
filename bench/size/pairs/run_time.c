#include "common.h"

struct args { u64 common; char prev_comm[16]; s32 prev_pid, prev_prio; s64 prev_state; };
MAP(since, PERCPU_ARRAY, 1, u32, u64);
MAP(on_cpu, HASH, 10240, s32, u64);

SEC("tracepoint/sched/sched_switch") int run_time(struct args *ctx)
{
    u64 now = ktime_get_ns(), before;
    u32 zero = 0;
    u64 *last = map_lookup_elem(&since, &zero);
    if (!last)
        return 0;
    before = *last;
    *last = now;
    s32 pid = ctx->prev_pid;
    if (!before || !pid)
        return 0;
    u64 *total = map_lookup_elem(&on_cpu, &pid);
    if (!total) {
        u64 none = 0;
        map_update_elem(&on_cpu, &pid, &none, BPF_NOEXIST);
        total = map_lookup_elem(&on_cpu, &pid);
        if (!total)
            return 0;
    }
    __sync_fetch_and_add(total, now - before);
    return 0;
}

LICENSE;
