import purebpf as bpf


@bpf.tracepoint("syscalls/sys_enter_execve")
def hello(ctx: bpf.TracepointContext) -> None:
    bpf.printk("Hello, World!")


with hello.attach():
    print("attached")
