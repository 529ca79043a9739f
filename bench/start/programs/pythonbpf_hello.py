from ctypes import c_int64, c_void_p

from pythonbpf import BPF, bpf, bpfglobal, section


@bpf
@section("tracepoint/syscalls/sys_enter_execve")
def hello(ctx: c_void_p) -> c_int64:
    print("Hello, World!")
    return c_int64(0)


@bpf
@bpfglobal
def LICENSE() -> str:
    return "GPL"


program = BPF()
program.load()
program.attach_all()
print("attached")
