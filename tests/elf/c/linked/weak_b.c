/* The other half, whose definitions count where the first one's are weak. */
#include "../defs.h"

struct state { u32 steps; u64 sums[3]; };
int level = 2;
extern struct state state;
extern const volatile int limit;
extern int depth;
static int counted = 6;
static const char text[] = "second text";
int kept(int a);

NOINLINE int chosen(int a)
{
    opaque(a);
    return a * level;
}

static NOINLINE int same(int a)
{
    opaque(a);
    return (a ^ 9) + counted++;
}

SEC("tc") int uses_too(struct __sk_buff *ctx)
{
    int index = ctx->mark & 7;
    state.sums[2] += text[index] + limit;
    return chosen(index) + kept(depth) + same(index);
}

LICENSE;
