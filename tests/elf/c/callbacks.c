/* Functions whose addresses the kernel gets: of loops, of walks over maps, of timers; nested, and with calls of their own. */
#include "defs.h"

struct element { struct bpf_timer timer; u64 count; };
ARRAY_OF(u32, struct element, 3) elements SEC(".maps");
struct sums { u64 sum; u32 rounds; };
u64 total;

static NOINLINE u64 doubled(u64 a)
{
    opaque(a);
    return a * 2;
}

static int add(void *map, u32 *key, struct element *value, struct sums *sums)
{
    sums->sum += doubled(value->count) + *key;
    return 0;
}

static int round(u32 index, struct sums *sums)
{
    sums->rounds += index;
    return index > 5;
}

static int outer(u32 index, struct sums *sums)
{
    loop(3, round, sums, 0);
    return 0;
}

static int expired(void *map, int *key, struct element *value)
{
    value->count = doubled(value->count);
    timer_start(&value->timer, 1000000, 0);
    return 0;
}

SEC("tc") int walk(struct __sk_buff *ctx)
{
    struct sums sums = {};
    for_each_map_elem(&elements, add, &sums, 0);
    loop(10, outer, &sums, 0);
    total += sums.sum;
    return sums.rounds;
}

SEC("tc") int start(struct __sk_buff *ctx)
{
    u32 key = 1;
    struct element *element = map_lookup_elem(&elements, &key);
    if (!element)
        return 1;
    timer_init(&element->timer, &elements, 1);
    timer_set_callback(&element->timer, expired);
    timer_start(&element->timer, 1000, 0);
    return doubled(3);
}

LICENSE;
