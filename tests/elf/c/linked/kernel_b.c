/* The other half: it asks for the same, some of it more strongly, and for more members of the same struct. */
#include "../defs.h"

struct task_struct { int pid; int tgid; int prio; } CORE;
extern int LINUX_KERNEL_VERSION KCONFIG WEAK;
extern bool CONFIG_BPF_SYSCALL KCONFIG;
extern const int bpf_prog_active KSYM WEAK;
extern int bpf_of_no_kernel(int a, int b) KSYM WEAK;
extern u64 seen;

static int round(u32 index, u64 *sum)
{
    *sum -= index * 2;
    return index > 1;
}

SEC("tp_btf/sched_switch") int switches(u64 *ctx)
{
    struct task_struct *task = (struct task_struct *)ctx[1];
    u64 sum = LINUX_KERNEL_VERSION;
    loop(4, round, &sum, 0);
    seen += task->tgid + task->prio + CONFIG_BPF_SYSCALL;
    if (&bpf_of_no_kernel)
        seen += bpf_of_no_kernel(1, 2);
    return sum;
}

SEC("raw_tp/sys_exit") int exits(void *ctx)
{
    const int *active = &bpf_prog_active ? per_cpu_ptr(&bpf_prog_active, 0) : NULL;
    return active ? *active + 1 : __builtin_preserve_field_info(((struct task_struct *)0)->tgid, 0);
}

LICENSE;
