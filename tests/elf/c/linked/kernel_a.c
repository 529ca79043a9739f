/* What both halves want of the kernel: its settings, variables, functions and types; callbacks of one name in both. */
#include "../defs.h"

struct task_struct { int pid; struct task_struct *real_parent; } CORE;
enum pid_type { PIDTYPE_PID, PIDTYPE_TGID };
extern int LINUX_KERNEL_VERSION KCONFIG;
extern bool CONFIG_BPF_SYSCALL KCONFIG WEAK;
extern const int bpf_prog_active KSYM;
extern const int a_variable_of_no_kernel KSYM WEAK;
extern struct task_struct *bpf_task_acquire(struct task_struct *task) KSYM;
extern void bpf_task_release(struct task_struct *task) KSYM;
u64 seen;

static int round(u32 index, u64 *sum)
{
    *sum += index;
    return 0;
}

SEC("tp_btf/sched_process_exit") int leaves(u64 *ctx)
{
    struct task_struct *task = bpf_task_acquire((struct task_struct *)ctx[0]);
    u64 sum = 0;
    if (task) {
        seen = task->real_parent->pid + LINUX_KERNEL_VERSION;
        bpf_task_release(task);
    }
    loop(3, round, &sum, 0);
    return sum + CONFIG_BPF_SYSCALL;
}

SEC("raw_tp/sys_enter") int enters(void *ctx)
{
    const int *active = per_cpu_ptr(&bpf_prog_active, 0);
    if (&a_variable_of_no_kernel)
        return a_variable_of_no_kernel;
    return (active ? *active : 0) + __builtin_preserve_enum_value(*(enum pid_type *)PIDTYPE_TGID, 1);
}

LICENSE;
