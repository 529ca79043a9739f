"""bpf(2) and perf_event_open(2) through libc's syscall(3). Numbers: arch/*/entry/syscalls/*.tbl, asm-generic/unistd.h.

A call gives back the kernel's answer as it is: a number, or minus the errno. Callers turn that into words (`errors.py`).
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Mapping

from purebpf.data import data
from purebpf.errors import Unsupported
from purebpf.kernel.attr import pack
from purebpf.tables.attr import PERF_ATTR_SIZE_VER0, PERF_FLAG_FD_CLOEXEC
from purebpf.tables.enums import Command


@data
class Numbers:
    bpf: int
    perf_event_open: int


GENERIC = Numbers(280, 241)
# Machines whose ioctl numbers are those of asm-generic, as the constants in tables/attr.py assume.
NUMBERS = {
    "x86_64": Numbers(321, 298),
    "aarch64": GENERIC,
    "riscv64": GENERIC,
    "loongarch64": GENERIC,
    "s390x": Numbers(351, 331),
}
PATIENCE = 5  # interrupted loads in a row before the profiling timer is held off
Pinned = ctypes.Array[ctypes.c_char]


def _call(name: str, *types: type) -> Callable[..., int]:
    """syscall(3) with these argument types behind the number. A 32-bit process on a 64-bit kernel has other numbers."""
    machine = os.uname().machine
    if machine not in NUMBERS or ctypes.sizeof(ctypes.c_void_p) != 8:
        known = ", ".join(NUMBERS)
        raise Unsupported(f"The number of {name}(2) is not known on {machine} here; known are 64-bit processes on {known}.")
    function = ctypes.CDLL(None, use_errno=True)["syscall"]
    function.restype = ctypes.c_long
    function.argtypes = (ctypes.c_long, *types)
    number: int = getattr(NUMBERS[machine], name)

    def call(*arguments: object) -> int:
        result: int = function(number, *arguments)
        return -ctypes.get_errno() if result < 0 else result

    return call


_bpf: Callable[..., int] | None = None
_perf: Callable[..., int] | None = None


def bpf_call() -> Callable[..., int]:
    """The bare call: (command, address of the attribute, its size) -> result or minus errno. Retries nothing."""
    global _bpf
    if _bpf is None:
        _bpf = _call("bpf", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint)
    return _bpf


def bpf(command: Command, fields: Mapping[str, int | bytes]) -> int:
    """One bpf(2) call; the answer, or minus the errno. Whatever the fields point to must live until it returns.

    An interrupted call is made again, but PROG_TEST_RUN is not: the program may have run.
    """
    return bpf_buffer(command, *pack(command.name, fields))


def bpf_buffer(command: Command, attribute: bytearray, size: int) -> int:
    """The same on a packed attribute, into which the kernel may write, of which `size` bytes are announced."""
    call = bpf_call()
    buffer = (ctypes.c_char * len(attribute)).from_buffer(attribute)
    where = ctypes.addressof(buffer)
    tries = 0
    while True:
        result = call(int(command), where, size)
        if result == -errno.EINTR and command is not Command.PROG_TEST_RUN:
            continue
        if result != -errno.EAGAIN or command is not Command.PROG_LOAD:
            return result
        # The verifier gives up with EAGAIN when a signal waits. A fast profiling timer could keep it from ever finishing.
        tries += 1
        if tries >= PATIENCE:
            return _undisturbed(call, int(command), where, size)


def _undisturbed(call: Callable[..., int], *arguments: object) -> int:
    import signal

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPROF, signal.SIGVTALRM, signal.SIGALRM})
    try:
        result = -errno.EAGAIN
        for _ in range(100):
            result = call(*arguments)
            if result != -errno.EAGAIN:
                break
        return result
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def perf_event_open(fields: Mapping[str, int], pid: int, cpu: int) -> int:
    """One perf event, closed on exec; its descriptor, or minus the errno. `fields` are members of struct perf_event_attr."""
    global _perf
    if _perf is None:
        _perf = _call("perf_event_open", ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_ulong)
    size = max(pack("perf_event_attr", fields)[1], PERF_ATTR_SIZE_VER0)
    attribute, _ = pack("perf_event_attr", {**fields, "size": size})
    buffer = (ctypes.c_char * len(attribute)).from_buffer(attribute)
    while True:
        result = _perf(ctypes.addressof(buffer), pid, cpu, -1, PERF_FLAG_FD_CLOEXEC)
        if result != -errno.EINTR:
            return result


def pin(data: bytes) -> Pinned:
    """A copy of the bytes at an address that stays, for as long as the result is kept. `address` gives it."""
    return ctypes.create_string_buffer(data, max(len(data), 1))


def room(size: int) -> Pinned:
    """Zeroed memory for the kernel to write into."""
    return ctypes.create_string_buffer(max(size, 1))


def address(buffer: Pinned) -> int:
    return ctypes.addressof(buffer)
