#include "common.h"

enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2 };
struct args { u64 common, skaddr; s32 oldstate, newstate; u16 sport, dport, family, protocol; };
MAP(states, ARRAY, 16, u32, u64);
MAP(asked, HASH, 4096, u64, u64);
MAP(waited, PERCPU_ARRAY, 2, u32, u64);

SEC("tracepoint/sock/inet_sock_set_state") int tcp_states(struct args *ctx)
{
    if (ctx->protocol != IPPROTO_TCP)
        return 0;
    u32 old = ctx->oldstate, new = ctx->newstate;
    u64 *count;
    if (old < 16 && (count = map_lookup_elem(&states, &old)))
        __sync_fetch_and_add(count, -1);
    if (new < 16 && (count = map_lookup_elem(&states, &new)))
        __sync_fetch_and_add(count, 1);
    u64 socket = ctx->skaddr;
    if (new == TCP_SYN_SENT) {
        u64 now = ktime_get_ns();
        map_update_elem(&asked, &socket, &now, BPF_ANY);
        return 0;
    }
    u64 *start = map_lookup_elem(&asked, &socket);
    if (!start)
        return 0;
    if (new == TCP_ESTABLISHED) {
        u32 index = 0;
        u64 began = *start;
        u64 passed = ktime_get_ns() - began;
        if ((count = map_lookup_elem(&waited, &index)))
            *count += passed;
        index = 1;
        if ((count = map_lookup_elem(&waited, &index)))
            *count += 1;
    }
    map_delete_elem(&asked, &socket);
    return 0;
}

LICENSE;
