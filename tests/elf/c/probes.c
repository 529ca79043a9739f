/* Tracing programs whose hook is in the section, with values read through pointers. */
#include "defs.h"

struct pt_regs { u64 r[21]; };
HASH_OF(u64, u64, 1000) started SEC(".maps");

SEC("kprobe/do_nanosleep") int begin(struct pt_regs *ctx)
{
    u64 key = get_current_pid_tgid(), time = ktime_get_ns();
    map_update_elem(&started, &key, &time, 0);
    return 0;
}

SEC("kretprobe/do_nanosleep") int end(struct pt_regs *ctx)
{
    u64 key = get_current_pid_tgid(), *time = map_lookup_elem(&started, &key);
    if (time)
        map_delete_elem(&started, &key);
    return 0;
}

SEC("perf_event") int tick(void *ctx)
{
    u64 key = get_smp_processor_id(), time = 0;
    probe_read(&time, sizeof(time), (void *)get_current_task());
    map_update_elem(&started, &key, &time, 0);
    return 0;
}

LICENSE;
