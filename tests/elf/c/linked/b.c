/* The other half. */
#include "../defs.h"

struct task_struct { int pid; struct task_struct *real_parent; } CORE;
extern HASH_OF(u32, u64, 16) shared __attribute__((section(".maps")));
extern u64 counter;
u32 limit = 9;
const volatile u32 fixed = 11;
static u64 counted;
int of_a(int a);

static NOINLINE int own(int a)
{
    opaque(a);
    counted++;
    return a + 2 + __builtin_preserve_field_info(((struct task_struct *)0)->real_parent, 0);
}

NOINLINE int of_b(int a, int b)
{
    opaque(a);
    return own(a) * b;
}

NOINLINE int either(int a)
{
    opaque(a);
    return a + 2;
}

SEC("tc") int program_b(struct __sk_buff *ctx)
{
    u32 key = 1;
    u64 *value = map_lookup_elem(&shared, &key);
    counter += of_a(ctx->len);
    return value ? *value + own(1) : 0;
}

SEC("tp_btf/sched_switch") int traced(u64 *ctx)
{
    limit = ((struct task_struct *)ctx[1])->pid;
    return 0;
}

LICENSE;
