/* A program that gives up, and the function that goes on then. */
#include "../../elf/c/defs.h"

extern void bpf_throw(u64 cookie) KSYM;

u64 thrown;

NOINLINE int recovered(u64 cookie)
{
    thrown = cookie;
    return cookie + 1;
}

static NOINLINE int gives_up(u32 length)
{
    opaque(length);
    if (length > 100)
        bpf_throw(41);
    return 7;
}

TAG("exception_callback:recovered") SEC("tc") int careful(struct __sk_buff *ctx)
{
    return gives_up(ctx->len);
}

LICENSE;
