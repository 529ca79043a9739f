#include "common.h"

struct started { u64 time; s32 pid, old_pid; u32 uid; char comm[16]; };
struct args { u64 common; u32 filename; s32 pid, old_pid; };
MAP(events, PERF_EVENT_ARRAY, 1, u32, u32);

SEC("tracepoint/sched/sched_process_exec") int exec_events(struct args *ctx)
{
    struct started started;
    memset(&started, 0, sizeof(started));
    started.time = ktime_get_ns();
    started.pid = ctx->pid;
    started.old_pid = ctx->old_pid;
    started.uid = get_current_uid_gid();
    get_current_comm(started.comm, sizeof(started.comm));
    perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &started, sizeof(started));
    return 0;
}

LICENSE;
