/* What the sources here share, so that clang alone is needed: integer types, map attributes, helpers by number
   (include/uapi/linux/bpf.h), contexts. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
typedef _Bool bool;

#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))
#define NOINLINE __attribute__((noinline))
#define WEAK __attribute__((weak))
#define HIDDEN __attribute__((visibility("hidden")))
#define KSYM __attribute__((section(".ksyms")))
#define KCONFIG __attribute__((section(".kconfig")))
#define TAG(text) __attribute__((btf_decl_tag(text)))
#define LICENSE char _license[] SEC("license") = "GPL"
#define NULL ((void *)0)
#define opaque(x) asm volatile("" : "+r"(x))

/* attributes of maps, as numbers and as types */
#define NUMBER(name, value) int (*name)[value]
#define TYPE(name, type) typeof(type) *name
#define VALUES(name, type) typeof(type) *name[]
#define ARRAY_OF(K, V, entries) \
    struct { NUMBER(type, ARRAY); TYPE(key, K); TYPE(value, V); NUMBER(max_entries, entries); }
#define HASH_OF(K, V, entries) \
    struct { NUMBER(type, HASH); TYPE(key, K); TYPE(value, V); NUMBER(max_entries, entries); }

enum kinds {
    HASH = 1, ARRAY, PROG_ARRAY, PERF_EVENT_ARRAY, PERCPU_HASH, PERCPU_ARRAY, STACK_TRACE, CGROUP_ARRAY, LRU_HASH,
    LRU_PERCPU_HASH, LPM_TRIE, ARRAY_OF_MAPS, HASH_OF_MAPS, DEVMAP, SOCKMAP, CPUMAP, XSKMAP, SOCKHASH, OLD_CGROUP_STORAGE,
    REUSEPORT_SOCKARRAY, OLD_PERCPU_CGROUP_STORAGE, QUEUE, STACK, SK_STORAGE, DEVMAP_HASH, STRUCT_OPS, RINGBUF,
    INODE_STORAGE, TASK_STORAGE, BLOOM_FILTER, USER_RINGBUF, CGRP_STORAGE, ARENA
};
enum { NO_PREALLOC = 1, NUMA_NODE = 4, RDONLY = 8, RDONLY_PROG = 0x80, MMAPABLE = 0x400, INNER_MAP = 0x1000 };
enum { XDP_ABORTED, XDP_DROP, XDP_PASS };

static void *(*map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*map_delete_elem)(void *map, const void *key) = (void *)3;
static long (*probe_read)(void *to, u32 size, const void *from) = (void *)4;
static u64 (*ktime_get_ns)(void) = (void *)5;
static long (*trace_printk)(const char *format, u32 size, ...) = (void *)6;
static u32 (*get_smp_processor_id)(void) = (void *)8;
static long (*tail_call)(void *ctx, void *map, u32 index) = (void *)12;
static u64 (*get_current_pid_tgid)(void) = (void *)14;
static long (*redirect_map)(void *map, u64 key, u64 flags) = (void *)51;
static u64 (*get_current_task)(void) = (void *)35;
static long (*map_push_elem)(void *map, const void *value, u64 flags) = (void *)87;
static long (*map_peek_elem)(void *map, void *value) = (void *)89;
static long (*spin_lock)(void *lock) = (void *)93;
static long (*spin_unlock)(void *lock) = (void *)94;
static long (*probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*ringbuf_output)(void *map, void *data, u64 size, u64 flags) = (void *)130;
static void *(*ringbuf_reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*ringbuf_submit)(void *data, u64 flags) = (void *)132;
static void *(*per_cpu_ptr)(const void *variable, u32 cpu) = (void *)153;
static void *(*this_cpu_ptr)(const void *variable) = (void *)154;
static void *(*get_current_task_btf)(void) = (void *)158;
static long (*for_each_map_elem)(void *map, void *callback, void *context, u64 flags) = (void *)164;
static long (*snprintf)(char *to, u32 size, const char *format, u64 *data, u32 length) = (void *)165;
static long (*timer_init)(void *timer, void *map, u64 flags) = (void *)169;
static long (*timer_set_callback)(void *timer, void *callback) = (void *)170;
static long (*timer_start)(void *timer, u64 nanoseconds, u64 flags) = (void *)171;
static long (*loop)(u32 rounds, void *callback, void *context, u64 flags) = (void *)181;
static void *(*kptr_xchg)(void *to, void *pointer) = (void *)194;

struct xdp_md {
    u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
struct __sk_buff {
    u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority, ingress_ifindex, ifindex;
    u32 tc_index, cb[5], hash, tc_classid, data, data_end;
};
struct bpf_raw_tracepoint_args {
    u64 args[0];
};
struct bpf_spin_lock {
    u32 val;
};
struct bpf_timer {
    u64 opaque[2];
} __attribute__((aligned(8)));
