/* One half of an object that a linker joins: what it defines the other half uses, and the other way round. */
#include "../defs.h"

HASH_OF(u32, u64, 16) shared SEC(".maps");
u64 counter = 5;
extern u32 limit;
extern const volatile u32 fixed;
int of_b(int a, int b);

static NOINLINE int own(int a)
{
    opaque(a);
    return a + 1;
}

NOINLINE int of_a(int a)
{
    opaque(a);
    return own(a) + counter;
}

WEAK NOINLINE int either(int a)
{
    opaque(a);
    return a + 1;
}

SEC("tc") int program_a(struct __sk_buff *ctx)
{
    u32 key = limit + fixed;
    map_delete_elem(&shared, &key);
    return of_b(ctx->len, 2) + either(3);
}

LICENSE;
