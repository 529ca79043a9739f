"""Hello world: prints a line whenever a process starts a program.

sudo purebpf run examples/hello.py
"""

from __future__ import annotations

import purebpf as bpf


@bpf.tracepoint("syscalls/sys_enter_execve")
def hello(ctx: bpf.TracepointContext) -> None:
    bpf.printk("Hello world!\n")


def main() -> None:
    with bpf.trace_pipe() as pipe, hello.attach():
        print("start a program in another terminal; Ctrl-C ends")
        try:
            for record in pipe:
                print(f"{record.task}-{record.pid}: {record.text}")
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
