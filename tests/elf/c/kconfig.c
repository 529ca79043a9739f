/* What the kernel was built with, and what its loader knows of it. */
#include "defs.h"

enum libbpf_tristate { NO = 0, YES = 1, MODULE = 2 };
extern int LINUX_KERNEL_VERSION KCONFIG;
extern bool LINUX_HAS_BPF_COOKIE KCONFIG WEAK;
extern bool LINUX_HAS_SYSCALL_WRAPPER KCONFIG WEAK;
extern bool CONFIG_BPF_SYSCALL KCONFIG;
extern enum libbpf_tristate CONFIG_BPF_JIT KCONFIG;
extern char CONFIG_NET KCONFIG;
extern int CONFIG_HZ KCONFIG;
extern u64 CONFIG_LOG_BUF_SHIFT KCONFIG;
extern char CONFIG_DEFAULT_HOSTNAME[16] KCONFIG;
extern int CONFIG_OF_NO_KERNEL_AT_ALL KCONFIG WEAK;
extern bool CONFIG_NEITHER_THIS KCONFIG WEAK;

u64 seen[10];

SEC("raw_tp/sys_enter") int options(void *ctx)
{
    seen[0] = LINUX_KERNEL_VERSION;
    seen[1] = LINUX_HAS_BPF_COOKIE;
    seen[2] = LINUX_HAS_SYSCALL_WRAPPER;
    seen[3] = CONFIG_BPF_SYSCALL;
    seen[4] = CONFIG_BPF_JIT;
    seen[5] = CONFIG_NET;
    seen[6] = CONFIG_HZ;
    seen[7] = CONFIG_LOG_BUF_SHIFT;
    seen[8] = CONFIG_DEFAULT_HOSTNAME[1];
    if (CONFIG_OF_NO_KERNEL_AT_ALL || CONFIG_NEITHER_THIS)
        seen[9] = 1;
    return 0;
}

LICENSE;
