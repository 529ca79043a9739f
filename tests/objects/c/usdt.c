/* Arguments of a library's own probes, by libbpf's header: maps, and functions that read them. */
#include <linux/bpf.h>
#include <asm/ptrace.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

long seen[5];
unsigned int pid;

SEC("usdt") int values(struct pt_regs *ctx)
{
    if (bpf_get_current_pid_tgid() >> 32 != pid)
        return 0;
    for (int at = 0; at < 3; at++) {
        long value = 0;
        bpf_usdt_arg(ctx, at, &value);
        seen[at] = value;
    }
    seen[3] += bpf_usdt_arg_cnt(ctx);
    seen[4] = bpf_usdt_cookie(ctx);
    return 0;
}

char _license[] SEC("license") = "GPL";
