#include "common.h"

struct bpf_perf_event_data { u64 regs[21]; u64 sample_period, addr; };
struct key { u32 pid, cpu; };
MAP(samples, PERCPU_HASH, 10240, struct key, u64);

SEC("perf_event") int perf_profile(struct bpf_perf_event_data *ctx)
{
    struct key key = { .pid = get_current_pid_tgid() >> 32 };
    if (!key.pid)
        return 0;
    key.cpu = get_smp_processor_id();
    u64 *count = map_lookup_elem(&samples, &key);
    if (!count) {
        u64 zero = 0;
        map_update_elem(&samples, &key, &zero, BPF_NOEXIST);
        count = map_lookup_elem(&samples, &key);
        if (!count)
            return 0;
    }
    __sync_fetch_and_add(count, ctx->sample_period);
    return 0;
}

LICENSE;
