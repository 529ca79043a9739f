/* Variables of the kernel, with their types; one that may be missing. */
#include "defs.h"

struct rq { int cpu; } CORE;
extern const int bpf_prog_active KSYM;
extern const struct rq runqueues KSYM;
extern const int a_variable_of_no_kernel KSYM WEAK;

u64 seen;

SEC("raw_tp/sys_enter") int symbols(void *ctx)
{
    const int *active = per_cpu_ptr(&bpf_prog_active, 0);
    struct rq *mine = this_cpu_ptr(&runqueues);
    if (&a_variable_of_no_kernel)
        return a_variable_of_no_kernel;
    if (active)
        seen = *active;
    return mine->cpu;
}

LICENSE;
