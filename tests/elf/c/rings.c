/* Events to user space. */
#include "defs.h"

struct event { u64 time; u32 pid; char what[20]; };
struct { NUMBER(type, RINGBUF); NUMBER(max_entries, 1 << 16); } events SEC(".maps");
struct event *unused_event __attribute__((unused));

SEC("tp/syscalls/sys_enter_nanosleep") int emit(void *ctx)
{
    struct event *event = ringbuf_reserve(&events, sizeof(*event), 0);
    if (!event)
        return 0;
    event->time = ktime_get_ns();
    event->pid = get_current_pid_tgid() >> 32;
    __builtin_memset(event->what, 'x', sizeof(event->what));
    ringbuf_submit(event, 0);
    return 0;
}

LICENSE;
