/* Atomic operations, those that answer too. */
#include "defs.h"

u64 wide = 3;
u32 narrow = 4;
u64 answers[8];

SEC("raw_tp/sys_enter") int atomics(u64 *ctx)
{
    __sync_fetch_and_add(&wide, ctx[1]);
#if __BPF_CPU_VERSION__ >= 3
    __sync_fetch_and_add(&narrow, 2);
    answers[0] = __sync_fetch_and_add(&wide, 5);
    answers[1] = __sync_fetch_and_or(&wide, 8);
    answers[2] = __sync_fetch_and_and(&wide, 15);
    answers[3] = __sync_fetch_and_xor(&narrow, 1);
    answers[4] = __sync_val_compare_and_swap(&wide, 1, 2);
    answers[5] = __sync_lock_test_and_set(&narrow, 9);
#endif
    return 0;
}

LICENSE;
