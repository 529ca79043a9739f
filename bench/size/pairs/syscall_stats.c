#include "common.h"

enum { EAGAIN = 11 };
struct args { u64 common; s64 id, ret; };
struct stats { u64 calls, errors, again; };
MAP(stats, PERCPU_ARRAY, 512, u32, struct stats);

SEC("tracepoint/raw_syscalls/sys_exit") int syscall_stats(struct args *ctx)
{
    if (ctx->id < 0 || ctx->id >= 512)
        return 0;
    u32 number = ctx->id;
    struct stats *entry = map_lookup_elem(&stats, &number);
    if (!entry)
        return 0;
    entry->calls += 1;
    if (ctx->ret == -EAGAIN)
        entry->again += 1;
    else if (ctx->ret < 0 && ctx->ret >= -4095)
        entry->errors += 1;
    return 0;
}

LICENSE;
