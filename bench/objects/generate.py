"""C of many programs: as many as wanted in one object, and thirty probes that read the kernel's structs (CO-RE)."""

from __future__ import annotations

HEAD = """
typedef unsigned int u32;
typedef unsigned long long u64;
#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))
#define NOINLINE __attribute__((noinline))
static void *(*map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
#define READ(to, from) probe_read_kernel(&to, sizeof(to), &from)
struct { int (*type)[1]; u32 *key; u64 *value; int (*max_entries)[10000]; } counts SEC(".maps");
struct { int (*type)[2]; u32 *key; u64 *value; int (*max_entries)[64]; } totals SEC(".maps");
struct mm_struct { u64 total_vm, pinned_vm; int map_count; } CORE;
struct files_struct { int next_fd; } CORE;
struct signal_struct { int nr_threads; u64 nvcsw, nivcsw; } CORE;
struct task_struct {
    int pid, tgid, prio, static_prio; u32 flags, policy; char comm[16]; u64 start_time, utime, stime, nvcsw;
    struct task_struct *real_parent, *group_leader; struct mm_struct *mm; struct files_struct *files;
    struct signal_struct *signal;
} CORE;
u64 seen[64];
static NOINLINE void count(u32 key)
{
    u64 *value = map_lookup_elem(&counts, &key);
    if (value)
        __sync_fetch_and_add(value, 1);
}
"""
TAIL = 'char _license[] SEC("license") = "GPL";\n'
NUMBERS = ("pid", "tgid", "prio", "static_prio", "flags", "policy", "start_time", "utime", "stime", "nvcsw")
BEHIND = ("mm->map_count", "mm->total_vm", "files->next_fd", "signal->nr_threads", "signal->nvcsw", "real_parent->pid")
HOOKS = {"sched_switch": 1, "sched_wakeup": 0, "sched_process_exit": 0, "sched_wakeup_new": 0, "sched_process_fork": 0}


def many(count: int) -> str:
    """Programs of a dozen or so instructions, each with a map and a function that all share."""
    programs = [
        f'SEC("raw_tp/sys_enter") int program_{at}(u64 *ctx) {{ u32 key = {at % 64}; '
        f"u64 *total = map_lookup_elem(&totals, &key); if (total) *total += ctx[1]; count({at}); return 0; }}\n"
        for at in range(count)
    ]
    return HEAD + "".join(programs) + TAIL


def probes(count: int = 30) -> str:
    """Half of them read fields directly (tp_btf), half through a helper (raw_tp); each reads eight of the task's."""
    return HEAD + "".join(_probe(at) for at in range(count)) + TAIL


def _probe(at: int) -> str:
    hook, place = list(HOOKS.items())[at % len(HOOKS)]
    numbers = [NUMBERS[(at + each) % len(NUMBERS)] for each in range(5)]
    behind = [BEHIND[(at + each) % len(BEHIND)] for each in range(3)]
    head = f"int probe_{at}(u64 *ctx) {{ struct task_struct *task = (void *)ctx[{place}]; u64 sum = 0;"
    if at % 2:
        body = " ".join(f"sum += task->{name};" for name in (*numbers, *behind))
        return f'SEC("tp_btf/{hook}") {head} {body} seen[{at}] += sum; count({at}); return 0; }}\n'
    body = " ".join(f"{{ typeof(task->{name}) it = 0; READ(it, task->{name}); sum += it; }}" for name in numbers)
    for name in behind:
        first, _, last = name.partition("->")
        body += (
            f" {{ typeof(task->{first}) first = 0; READ(first, task->{first});"
            f" typeof(first->{last}) it = 0; READ(it, first->{last}); sum += it; }}"
        )
    return f'SEC("raw_tp/{hook}") {head} {body} seen[{at}] += sum; count({at}); return 0; }}\n'
