from bcc import BPF

program = BPF(text='TRACEPOINT_PROBE(syscalls, sys_enter_execve) { bpf_trace_printk("Hello, World!"); return 0; }')
print("attached")
