#include "common.h"

enum { O_ACCMODE = 03, O_WRONLY = 01, O_RDWR = 02, O_CREAT = 0100 };
struct opens { u64 read, write, created; };
struct args { u64 common; s32 nr; long dfd; long filename; long flags; long mode; };
MAP(opens, HASH, 10240, u32, struct opens);

SEC("tracepoint/syscalls/sys_enter_openat") int open_count(struct args *ctx)
{
    u32 pid = get_current_pid_tgid() >> 32;
    struct opens *entry = map_lookup_elem(&opens, &pid);
    if (!entry) {
        struct opens zero = {};
        map_update_elem(&opens, &pid, &zero, BPF_NOEXIST);
        entry = map_lookup_elem(&opens, &pid);
        if (!entry)
            return 0;
    }
    int flags = ctx->flags;
    if (flags & O_CREAT)
        __sync_fetch_and_add(&entry->created, 1);
    if ((flags & O_ACCMODE) == O_WRONLY || (flags & O_ACCMODE) == O_RDWR)
        __sync_fetch_and_add(&entry->write, 1);
    else
        __sync_fetch_and_add(&entry->read, 1);
    return 0;
}

LICENSE;
