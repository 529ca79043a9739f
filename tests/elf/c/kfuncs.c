/* Functions of the kernel: one that is there, some that may be missing, one of them asked for first. */
#include "defs.h"

struct task_struct { int pid; } CORE;
extern struct task_struct *bpf_task_acquire(struct task_struct *task) KSYM;
extern void bpf_task_release(struct task_struct *task) KSYM;
extern struct task_struct *bpf_task_from_pid(s32 pid) KSYM WEAK;
extern int bpf_of_no_kernel(int a, int b) KSYM WEAK;
extern void bpf_rcu_read_lock(void) KSYM WEAK;
extern void bpf_rcu_read_unlock(void) KSYM WEAK;

int found;

static NOINLINE int ask(int pid)
{
    struct task_struct *task = bpf_task_from_pid(pid);
    if (!task)
        return 0;
    found = task->pid;
    bpf_task_release(task);
    return 1;
}

SEC("tp_btf/sched_process_exit") int tasks(u64 *ctx)
{
    struct task_struct *task = bpf_task_acquire((struct task_struct *)ctx[0]);
    if (task)
        bpf_task_release(task);
    if (&bpf_of_no_kernel)
        found = bpf_of_no_kernel(1, 2);
    return ask(1);
}

SEC("tp_btf/sched_switch") int locked(u64 *ctx)
{
    if (bpf_rcu_read_lock)
        bpf_rcu_read_lock();
    found++;
    if (bpf_rcu_read_unlock)
        bpf_rcu_read_unlock();
    return 0;
}

LICENSE;
