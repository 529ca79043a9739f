/* Names that one half has for when the other has none: functions, variables of all sections; hidden ones and static ones. */
#include "../defs.h"

struct state { u32 steps; u64 sums[3]; };
WEAK int level = 1;
WEAK struct state state;
WEAK const volatile int limit = 10;
WEAK HIDDEN int depth SEC(".data.depth") = 4;
static int counted = 5;
static const char text[] = "first";

WEAK NOINLINE int chosen(int a)
{
    opaque(a);
    return a + level;
}

WEAK HIDDEN NOINLINE int kept(int a)
{
    opaque(a);
    counted += a;
    return a * 5 + counted;
}

static NOINLINE int same(int a)
{
    opaque(a);
    return a ^ 3;
}

SEC("tc") int uses(struct __sk_buff *ctx)
{
    int index = ctx->len & 3;
    state.steps += limit;
    state.sums[1] += text[index];
    return chosen(index) + kept(level) + same(depth);
}

LICENSE;
