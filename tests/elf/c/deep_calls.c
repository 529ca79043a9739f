/* A chain of functions, and one that several of them call. */
#include "defs.h"

u64 sum;
static NOINLINE int last(int a) { opaque(a); sum += a; return a; }
static NOINLINE int f6(int a) { opaque(a); return last(a) + 6; }
static NOINLINE int f5(int a) { opaque(a); return f6(a) + last(5); }
static NOINLINE int f4(int a) { opaque(a); return f5(a) + 4; }
NOINLINE int f3(int a) { opaque(a); return f4(a) + last(3); }
static NOINLINE int f2(int a) { opaque(a); return f3(a) + 2; }
static NOINLINE int f1(int a) { opaque(a); return f2(a) + last(1); }

SEC("tc") int down(struct __sk_buff *ctx) { return f1(ctx->len); }
SEC("tc") int halfway(struct __sk_buff *ctx) { return f4(ctx->len) + f2(1); }
SEC("tc") int up(struct __sk_buff *ctx) { return last(1) + f6(2) + f5(3) + f4(4) + f3(5); }

LICENSE;
