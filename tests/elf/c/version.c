/* The version that probes of old kernels had to tell, and another license. */
#include "defs.h"

u32 _version SEC("version") = 0x60101;
char _license[] SEC("license") = "Dual BSD/GPL";

SEC("kprobe/do_nanosleep") int probe(void *ctx) { return 0; }
