/* Names that are there twice: static variables in functions, static functions that are inlined in one place. */
#include "defs.h"

static NOINLINE int count_a(int a)
{
    static int count = 1, other[3];
    opaque(a);
    other[a & 1] = count;
    return count += a;
}

static NOINLINE int count_b(int a)
{
    static int count = 2;
    static const int steps[4] = {3, 1, 4, 1};
    opaque(a);
    return count += steps[a & 3];
}

SEC("tc") int both(struct __sk_buff *ctx)
{
    static u64 count;
    return ++count + count_a(ctx->len) * count_b(ctx->mark);
}

LICENSE;
