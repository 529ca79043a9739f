"""Parameters of the traced function, by name and type: what programs see is what the process did."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import s32, s64, u32
from purebpf.btf.running import kernel_btf
from purebpf.errors import CompileError, KernelError, Unsupported
from purebpf.kernel.engine import KernelEngine
from purebpf.vmlinux import sock, task_struct


def no_types() -> str:
    try:
        kernel_btf()
    except Unsupported as error:
        return str(error)
    return ""


pytestmark = pytest.mark.skipif(bool(no_types()), reason=no_types())
seen = bpf.Array[s64](max_entries=16)


@bpf.globals
class only:
    pid: u32 = 0


@bpf.kprobe("tcp_v4_connect")
def probed(sk: sock, addr_len: int) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = addr_len
        seen[1] = sk.__sk_common.skc_family
        seen[2] += 1


@bpf.kretprobe("tcp_v4_connect")
def returned(ret: s32) -> None:
    if bpf.current.tgid == only.pid:
        seen[3] = ret
        seen[4] += 1


@bpf.kprobe("tcp_v4_connect+0")
def registers(arg2: int, ctx: bpf.ProbeContext) -> None:
    if bpf.current.tgid == only.pid:
        seen[5] = u32(arg2)
        seen[6] = 1 if ctx.ip > 1 << 63 else 0


@bpf.fentry("tcp_v4_connect")
def entered(addr_len: int, sk: sock) -> None:
    if bpf.current.tgid == only.pid:
        seen[0] = addr_len
        seen[1] = sk.__sk_common.skc_family
        seen[2] += 1


@bpf.fexit("tcp_v4_connect")
def left(sk: sock, ret: s32) -> None:
    if bpf.current.tgid == only.pid:
        seen[3] = ret
        seen[4] = sk.__sk_common.skc_dport


@bpf.tp_btf("sys_enter")
def entering(id: int, ctx: bpf.TracingContext) -> None:
    if bpf.current.tgid == only.pid and id == 121:  # getpgid on x86-64
        seen[0] += 1


@bpf.tp_btf("sched_process_fork")
def forked(parent: task_struct, child: task_struct) -> None:
    if parent.tgid == only.pid:
        seen[0] = child.tgid
        seen[1] = child.real_parent.tgid


@bpf.lsm("file_open")
def opened(file, ret: int) -> int:  # type: ignore[no-untyped-def]
    if bpf.current.tgid == only.pid:
        seen[0] = file.f_inode.i_ino
        seen[1] += 1
        if ret != 0:
            return -1
    return 0


@contextlib.contextmanager
def watching(*programs: bpf.Program) -> Iterator[None]:
    """Attached for this process alone. What the machine's policy forbids is a skip with its words."""
    with contextlib.ExitStack() as stack:
        for program in programs:
            try:
                stack.enter_context(program.attach())
            except Unsupported as error:
                pytest.skip(str(error))
            except KernelError as error:
                if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOENT):
                    raise
                pytest.skip(str(error))
        only.pid = os.getpid()
        for index in range(16):
            seen[index] = 0
        yield


def connect() -> int:
    """The port that this process tries to connect to, where nobody listens."""
    with socket.socket() as reserved, socket.socket() as client:
        reserved.bind(("127.0.0.1", 0))
        port: int = reserved.getsockname()[1]
        with contextlib.suppress(ConnectionRefusedError):
            client.connect(("127.0.0.1", port))
        return port


def test_a_function_is_probed(kernel: KernelEngine) -> None:
    with watching(probed):
        connect()
        assert [seen[i] for i in range(3)] == [16, socket.AF_INET, 1]


def test_a_result_is_probed(kernel: KernelEngine) -> None:
    with watching(returned):
        connect()
        assert [seen[3], seen[4]] == [0, 1]


def test_registers_by_position(kernel: KernelEngine) -> None:
    with watching(registers):
        connect()
        assert [seen[5], seen[6]] == [16, 1]


def test_a_function_is_entered(kernel: KernelEngine) -> None:
    with watching(entered):
        connect()
        assert [seen[i] for i in range(3)] == [16, socket.AF_INET, 1]


def test_a_function_is_left(kernel: KernelEngine) -> None:
    with watching(left):
        port = connect()
        assert [seen[3], seen[4]] == [0, port]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of system calls are x86-64's")
def test_a_typed_tracepoint(kernel: KernelEngine) -> None:
    with watching(entering):
        os.getpgid(0)
        os.getpgid(0)
        assert seen[0] == 2


def test_objects_of_a_typed_tracepoint(kernel: KernelEngine) -> None:
    with watching(forked):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        assert [seen[0], seen[1]] == [child, os.getpid()]


def test_a_security_hook(kernel: KernelEngine, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with watching(opened):
        number = file.open().fileno()
        inode = os.stat(file).st_ino
        assert number >= 0
        assert seen[1] >= 1
        assert seen[0] == inode


REFUSED = {
    '@bpf.kprobe("tcp_v4_connect")\ndef f(skk): pass': ("no parameter `skk`", "it has: sk, uaddr, addr_len"),
    '@bpf.kprobe("tcp_v4_connect")\ndef f(ret): pass': ("no parameter `ret`", "where the function ends"),
    '@bpf.kretprobe("tcp_v4_connect")\ndef f(sk): pass': ("no parameter `sk`", "`ret` only"),
    '@bpf.fentry("tcp_v4_connect")\ndef f(arg0): pass': ("no parameter `arg0`", "it has: sk"),
    '@bpf.tp_btf("sched_process_fork")\ndef f(parent, chld): pass': ("no parameter `chld`", "it has: parent, child"),
    '@bpf.fentry("tcp_v4_connect")\ndef f(sk):\n    sk.x = 1': ("the kernel's", ""),
    '@bpf.fentry("tcp_v4_connect")\ndef f(sk):\n    y = sk.skc_x': ("no field `skc_x`", ""),
    "@bpf.xdp\ndef f(ctx, x): pass": ("takes one parameter", "ctx: bpf.XdpContext"),
    "@bpf.raw_tracepoint('sched_switch')\ndef f(prev, next): pass": ("takes one parameter", '@bpf.tp_btf("sched_switch")'),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused(text: str, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(f"import purebpf as bpf\n{text}\n")
    space: dict[str, object] = {"__name__": "program"}
    exec(compile(script.read_text(), str(script), "exec"), space)
    with pytest.raises(CompileError) as caught:
        space["f"].compiled()  # type: ignore[attr-defined]
    for part in REFUSED[text]:
        assert part in str(caught.value)
    assert "program.py:" in str(caught.value)
