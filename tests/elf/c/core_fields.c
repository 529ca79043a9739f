/* CO-RE: fields of the kernel's structs, by helper and directly; what is not there is asked for first. */
#include "defs.h"

struct mm_struct { int map_count; } CORE;
struct list_head { struct list_head *next, *prev; } CORE;
struct task_struct {
    char comm[16];
    int pid, tgid;
    struct task_struct *real_parent, *group_leader;
    struct mm_struct *mm;
    u64 start_time;
    struct list_head tasks;
    unsigned in_execve : 1;
    unsigned sched_reset_on_fork : 1;
} CORE;
struct task_struct___old { long state; int gone; } CORE;
struct task_struct___new { unsigned int __state; } CORE;
struct no_such_struct { int a; } CORE;

u64 seen[16];

#define field(kind, access) __builtin_preserve_field_info(access, kind)
#define READ(to, from) probe_read_kernel(&to, sizeof(to), &from)

SEC("raw_tp/sched_switch") int fields(u64 *ctx)
{
    struct task_struct *task = (void *)ctx[1], *parent = NULL;
    struct mm_struct *mm = NULL;
    int number = 0;
    long state = 0;
    READ(number, task->pid);
    seen[0] = number;
    READ(parent, task->real_parent);
    READ(number, parent->tgid);
    seen[1] = number;
    READ(mm, task->mm);
    READ(number, mm->map_count);
    seen[2] = number;
    if (field(2, ((struct task_struct___old *)task)->state))
        READ(state, ((struct task_struct___old *)task)->state);
    else
        READ(state, ((struct task_struct___new *)task)->__state);
    seen[3] = state;
    seen[4] = field(0, task->comm[3]);
    seen[5] = field(1, task->comm);
    seen[6] = field(2, ((struct task_struct___old *)task)->gone);
    seen[7] = field(4, task->sched_reset_on_fork) + field(5, task->sched_reset_on_fork);
    seen[8] = field(0, task->tasks.prev);
    return 0;
}

SEC("tp_btf/sched_switch") int directly(u64 *ctx)
{
    struct task_struct *task = (void *)ctx[1];
    seen[9] = task->pid + task->group_leader->tgid;
    seen[10] = task->start_time;
    seen[11] = task->in_execve;
    return task->comm[2];
}

LICENSE;
