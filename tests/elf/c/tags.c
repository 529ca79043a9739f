/* Tags on types and declarations: pointers to the kernel's objects in maps, functions that are told apart. */
#include "defs.h"

#define KPTR __attribute__((btf_type_tag("kptr_untrusted")))
struct task_struct { int pid; } CORE;
struct held { struct task_struct KPTR *task; u64 since; };
ARRAY_OF(u32, struct held, 2) tasks SEC(".maps");
typedef int small TAG("a type's tag");
struct tagged { small a TAG("a member's"); u32 b; } TAG("a struct's");
struct tagged variable TAG("a variable's");

TAG("a function's") NOINLINE int checked(int a TAG("a parameter's"))
{
    opaque(a);
    return a + variable.a;
}

SEC("tp_btf/sys_enter") int keep(void *ctx)
{
    u32 key = 0;
    struct held *held = map_lookup_elem(&tasks, &key);
    if (!held)
        return 0;
    held->since = ktime_get_ns();
    if (held->task)
        variable.b = held->task->pid;
    return checked(3);
}

LICENSE;
