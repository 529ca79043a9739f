/* CO-RE: types and enumerators of the kernel, in programs and in their functions. */
#include "defs.h"

#define type(kind, name) __builtin_preserve_type_info(*(typeof(name) *)0, kind)
#define number(kind, name) __builtin_btf_type_id(*(typeof(name) *)0, kind)
#define constant(kind, type, name) __builtin_preserve_enum_value(*(type *)name, kind)

struct task_struct { int pid; } CORE;
struct sk_buff { u32 len; } CORE;
struct of_no_kernel { u64 a, b; } CORE;
enum bpf_map_type { BPF_MAP_TYPE_RINGBUF = 1, BPF_MAP_TYPE_OF_THE_FUTURE = 2 };
enum bpf_map_type___flavour { BPF_MAP_TYPE_ARRAY___x = 3 };
typedef u32 gfp_t;

u64 seen[12];

static NOINLINE u64 sizes(int a)
{
    opaque(a);
    return type(1, struct sk_buff) + type(0, struct of_no_kernel) + a;
}

SEC("raw_tp/sys_enter") int types(void *ctx)
{
    seen[0] = type(0, struct task_struct);
    seen[1] = type(1, struct task_struct);
    seen[2] = type(0, struct of_no_kernel);
    seen[3] = number(1, struct task_struct);
    seen[4] = number(0, struct sk_buff);
    seen[5] = constant(1, enum bpf_map_type, BPF_MAP_TYPE_RINGBUF);
    seen[6] = constant(0, enum bpf_map_type, BPF_MAP_TYPE_OF_THE_FUTURE);
    seen[7] = constant(1, enum bpf_map_type___flavour, BPF_MAP_TYPE_ARRAY___x);
    seen[8] = type(0, gfp_t);
    seen[9] = type(2, struct sk_buff);
    return sizes(1);
}

LICENSE;
