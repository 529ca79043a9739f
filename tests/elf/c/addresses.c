/* Addresses of the kernel by their names; one that may be missing. */
#include "defs.h"

extern const void schedule KSYM;
extern const void bpf_prog_put KSYM;
extern const void an_address_of_no_kernel KSYM WEAK;

u64 addresses[4];

SEC("raw_tp/sys_enter") int symbols(void *ctx)
{
    addresses[0] = (u64)&schedule;
    addresses[1] = (u64)&bpf_prog_put;
    addresses[2] = (u64)&an_address_of_no_kernel;
    if (&an_address_of_no_kernel)
        addresses[3] = 1;
    return 0;
}

LICENSE;
