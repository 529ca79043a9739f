/* Types of all kinds, reached from variables and from maps. */
#include "defs.h"

union number { u64 whole; float f; double d; u8 bytes[8]; };
enum small { ONE = 1, NEGATIVE = -5 };
enum large { BIG = 0x1234567890ull, BIGGER = 0xffffffffffffffffull };
struct forward;
struct bits { u32 a : 3, b : 12, : 4, c : 1; s64 d : 40; };
typedef int (*callback)(struct forward *, union number, ...);
struct all {
    union number number;
    enum small small;
    enum large large;
    struct bits bits[3];
    struct forward *forward;
    callback call;
    const volatile char *const text;
    struct { int inside; union { u8 x; u16 y; }; };
    int flexible[];
};
struct keys { u32 size; struct bits bits; } __attribute__((packed));
HASH_OF(struct keys, struct all, 5) everything SEC(".maps");
struct all one = {.small = NEGATIVE};
__int128 huge = 1;

SEC("socket") int types(struct __sk_buff *ctx)
{
    struct keys key = {.size = 1};
    struct all *all = map_lookup_elem(&everything, &key);
    return all ? all->bits[1].b + one.small + (int)huge : 0;
}

LICENSE;
