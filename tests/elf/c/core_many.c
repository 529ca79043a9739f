/* CO-RE in functions that several programs share, so that relocations move with them. */
#include "defs.h"

struct task_struct { int pid, tgid; struct task_struct *real_parent; u64 start_boottime; } CORE;
struct file { u32 f_flags; void *private_data; } CORE;

static NOINLINE u64 born(struct task_struct *task)
{
    u64 time = 0;
    probe_read_kernel(&time, sizeof(time), &task->start_boottime);
    return time;
}

static NOINLINE u64 parents(struct task_struct *task)
{
    struct task_struct *parent = NULL;
    probe_read_kernel(&parent, sizeof(parent), &task->real_parent);
    return born(parent);
}

u64 first, second, third;

SEC("raw_tp/sched_switch") int one(u64 *ctx) { first = born((void *)ctx[1]); return 0; }
SEC("raw_tp/sched_wakeup") int two(u64 *ctx) { second = parents((void *)ctx[0]); return 0; }
SEC("raw_tp/sched_process_exit") int three(u64 *ctx)
{
    third = parents((void *)ctx[0]) - born((void *)ctx[0]) + __builtin_preserve_field_info(((struct file *)0)->f_flags, 0);
    return 0;
}

LICENSE;
