/* A map of each kind that a program can be about, most of them declared only. */
#include "defs.h"

#define SIZED(name, kind, key, value, entries) \
    struct { NUMBER(type, kind); NUMBER(key_size, key); NUMBER(value_size, value); NUMBER(max_entries, entries); } name \
        SEC(".maps")

SIZED(hash, HASH, 4, 8, 10);
SIZED(array, ARRAY, 4, 8, 10);
SIZED(programs, PROG_ARRAY, 4, 4, 3);
SIZED(perf_events, PERF_EVENT_ARRAY, 4, 4, 0);
SIZED(percpu_hash, PERCPU_HASH, 4, 12, 10);
SIZED(percpu_array, PERCPU_ARRAY, 4, 8, 10);
SIZED(stacks, STACK_TRACE, 4, 8 * 127, 100);
SIZED(cgroups, CGROUP_ARRAY, 4, 4, 2);
SIZED(lru, LRU_HASH, 4, 8, 100);
SIZED(lru_percpu, LRU_PERCPU_HASH, 4, 8, 100);
SIZED(devices, DEVMAP, 4, 8, 8);
SIZED(devices_hash, DEVMAP_HASH, 4, 8, 8);
SIZED(sockets, SOCKMAP, 4, 4, 8);
SIZED(sockets_hash, SOCKHASH, 4, 8, 8);
SIZED(cpus, CPUMAP, 4, 8, 4);
SIZED(xsks, XSKMAP, 4, 4, 4);
SIZED(reuseport, REUSEPORT_SOCKARRAY, 4, 8, 4);
struct { NUMBER(type, LPM_TRIE); NUMBER(key_size, 8); NUMBER(value_size, 8); NUMBER(max_entries, 50);
    NUMBER(map_flags, NO_PREALLOC); } prefixes SEC(".maps");
struct { NUMBER(type, QUEUE); NUMBER(value_size, 4); NUMBER(max_entries, 16); } queue SEC(".maps");
struct { NUMBER(type, STACK); NUMBER(value_size, 8); NUMBER(max_entries, 16); } stack SEC(".maps");
struct { NUMBER(type, RINGBUF); NUMBER(max_entries, 4096); } ring SEC(".maps");
struct { NUMBER(type, RINGBUF); NUMBER(max_entries, 5000); } ring_of_odd_size SEC(".maps");
struct { NUMBER(type, USER_RINGBUF); NUMBER(max_entries, 4096); } from_user SEC(".maps");
struct { NUMBER(type, TASK_STORAGE); NUMBER(map_flags, NO_PREALLOC); TYPE(key, int); TYPE(value, u64); } of_tasks SEC(".maps");
struct { NUMBER(type, SK_STORAGE); NUMBER(map_flags, NO_PREALLOC); TYPE(key, int); TYPE(value, u64); } of_sockets SEC(".maps");
struct { NUMBER(type, CGRP_STORAGE); NUMBER(map_flags, NO_PREALLOC); TYPE(key, int); TYPE(value, u64); } of_cgroups SEC(".maps");

SEC("xdp") int kinds(struct xdp_md *ctx)
{
    u32 key = ctx->rx_queue_index, *number = map_lookup_elem(&hash, &key);
    u64 value[2] = {8, key};
    if (number)
        tail_call(ctx, &programs, 2);
    map_push_elem(&queue, &key, 0);
    map_peek_elem(&stack, value);
    map_update_elem(&lru, &key, value, 0);
    map_update_elem(&lru_percpu, &key, value, 0);
    map_lookup_elem(&prefixes, value);
    ringbuf_output(&ring, value, sizeof(value), 0);
    ringbuf_output(&ring_of_odd_size, value, sizeof(value), 0);
    return key ? redirect_map(&devices, key, 0) : redirect_map(&cpus, key, 0);
}

LICENSE;
