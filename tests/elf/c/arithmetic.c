/* Arithmetic that levels of the instruction set do in different ways. */
#include "defs.h"

s64 results[24];
signed char bytes[4] = {-1, 2, -3, 4};
short words[4] = {-1, 2, -3, 4};

SEC("socket") int arithmetic(struct __sk_buff *ctx)
{
    u64 a = ctx->len, b = ctx->hash | 1;
    u32 c = ctx->mark;
    results[0] = a * b + c;
    results[1] = a / b;
    results[2] = a % b;
    results[3] = (u32)a / (u32)b;
    results[4] = a << (c & 63);
    results[5] = (s64)a >> (c & 63);
    results[6] = (s32)c >> 3;
    results[7] = bytes[c & 3];
    results[8] = words[c & 3];
    results[9] = __builtin_bswap64(a);
    results[10] = __builtin_bswap32(c);
    results[11] = __builtin_bswap16(c);
    results[12] = (s64)a < (s64)b ? a : b;
    results[13] = c > 0x80000000u;
    results[14] = 0x123456789abcdef0ull ^ a;
    results[15] = a & 0xffffffff00000000ull;
    results[16] = -a;
    results[17] = ~b;
    return (int)(a | b);
}

LICENSE;
