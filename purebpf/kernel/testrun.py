"""Test runs: one program on a packet or a context of our making (BPF_PROG_TEST_RUN, Linux 4.12; net/bpf/test_run.c)."""

from __future__ import annotations

import ctypes
import errno
import mmap
import signal

from purebpf.engine import RunResult
from purebpf.errors import Error, Unsupported
from purebpf.kernel.attr import pack, read
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import ENOTSUPP, failure
from purebpf.kernel.privileges import for_program
from purebpf.kernel.syscall import address, bpf_buffer, pin, room
from purebpf.tables.enums import Command, ProgramType

ETHERNET_HEADER = 14
GROWTH = 258 + mmap.PAGESIZE  # a program may widen its packet by up to 256 bytes in front and a page behind

WHOLE_CONTEXT = 1024  # the kernel gives back its whole context, however little of it was given, or fails with ENOSPC

ON_FRAMES = frozenset({ProgramType.XDP, ProgramType.SCHED_CLS, ProgramType.SCHED_ACT, ProgramType.SOCKET_FILTER,
                       ProgramType.CGROUP_SKB, ProgramType.LWT_IN, ProgramType.LWT_OUT, ProgramType.LWT_XMIT,
                       ProgramType.LWT_SEG6LOCAL, ProgramType.FLOW_DISSECTOR})  # fmt: skip
READ_ONLY = frozenset({ProgramType.RAW_TRACEPOINT, ProgramType.RAW_TRACEPOINT_WRITABLE})  # no context comes back
ONCE = READ_ONLY | {ProgramType.SYSCALL}  # these take no `repeat`
ON_CONTEXT = ONCE | {ProgramType.SK_LOOKUP}
NO_OUTPUT = ONCE  # a syscall program's context is written back to where it came from

REASONS = {
    errno.EINVAL: "The packet or the context does not fit this kind of program: a frame has at least 14 bytes, and fields of "
    "the context that a test run cannot set must be zero.",
    errno.E2BIG: "The context is larger than the one this program has.",
    errno.ENOSPC: "The program made the packet longer than there is room for.",
}


def run(program: Descriptor, type: ProgramType, data: bytes | None, context: bytes | None, repeat: int) -> RunResult:
    """See `KernelProgram.run`."""
    if data is None and type in ON_FRAMES:
        data = bytes(ETHERNET_HEADER)
    _check(type, program.what, data, context, repeat)
    data_room = len(data) + GROWTH if data is not None else 0
    context_room = max(len(context), WHOLE_CONTEXT) if context is not None and type not in NO_OUTPUT else 0
    data_in, context_in, data_out, context_out = pin(data or b""), pin(context or b""), room(data_room), room(context_room)
    fields: dict[str, int | bytes] = {"prog_fd": program.number}
    if data is not None:
        fields |= {"data_size_in": len(data), "data_in": address(data_in)}
        fields |= {"data_size_out": data_room, "data_out": address(data_out)}
    if context is not None:
        fields |= {"ctx_size_in": len(context), "ctx_in": address(context_in)}
    if context_room:
        fields |= {"ctx_size_out": context_room, "ctx_out": address(context_out)}
    if type not in ONCE:
        fields["repeat"] = repeat
    attribute, size = pack("TEST", fields)
    answer = _call(attribute, size, repeat)
    if answer < 0:
        raise _refused(-answer, program.what, type)
    after = context_in if type is ProgramType.SYSCALL else context_out
    return RunResult(
        value=read("TEST", attribute, "retval"),
        data=ctypes.string_at(data_out, read("TEST", attribute, "data_size_out")) if data is not None else b"",
        context=ctypes.string_at(after, _context_size(type, context, read("TEST", attribute, "ctx_size_out"))),
        duration_ns=read("TEST", attribute, "duration"),
    )


LIVE, MOST_BATCH = 1 << 1, 256  # BPF_F_TEST_XDP_LIVE_FRAMES, TEST_XDP_MAX_BATCH


def run_live(program: Descriptor, type: ProgramType, data: bytes, context: bytes | None, repeat: int, batch: int) -> RunResult:
    """Send `repeat` copies of a frame through an XDP program, and do with each what it says: pass it to the network stack,
    redirect, transmit or drop it (Linux 5.18). See `KernelProgram.run_live`."""
    if type is not ProgramType.XDP:
        raise Unsupported(f"Only XDP programs run on live frames; {program.what} is of type {type.name.lower()}.")
    _check(type, program.what, data, context, repeat)
    if not 0 <= batch <= MOST_BATCH:
        raise Error(f"Frames are processed in batches of at most {MOST_BATCH}, not {batch}.")
    data_in, context_in = pin(data), pin(context or b"")
    fields = {
        "prog_fd": program.number,
        "data_size_in": len(data),
        "data_in": address(data_in),
        "repeat": repeat,
        "flags": LIVE,
    }
    if context is not None:
        fields |= {"ctx_size_in": len(context), "ctx_in": address(context_in)}
    attribute, size = pack("TEST", {**fields, "batch_size": batch})
    answer = _call(attribute, size, repeat)
    if answer < 0:
        what, feature = f"A run of {program.what} on live frames", "runs on live frames"
        raise failure(-answer, what, needs=for_program(type), first=(5, 18), feature=feature, reasons=REASONS)
    return RunResult(value=read("TEST", attribute, "retval"), duration_ns=read("TEST", attribute, "duration"))


def _context_size(type: ProgramType, given: bytes | None, told: int) -> int:
    """Bytes of context that came back: as the kernel tells, but a syscall program's is written over the one it was given."""
    if given is None or type in READ_ONLY:
        return 0
    return len(given) if type is ProgramType.SYSCALL else told


def _call(attribute: bytearray, size: int, repeat: int) -> int:
    """A single run is kept free of signals: before Linux 6.0 one that came in time made a finished run end with EINTR and
    without result. Many repeats stay interruptible, and start over once the signal has been handled."""
    if repeat <= 1:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            return bpf_buffer(Command.PROG_TEST_RUN, attribute, size)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    while True:
        answer = bpf_buffer(Command.PROG_TEST_RUN, attribute, size)
        if answer != -errno.EINTR:
            return answer


def _check(type: ProgramType, what: str, data: bytes | None, context: bytes | None, repeat: int) -> None:
    """Say in words what the kernel would answer with EINVAL."""
    if repeat < 1:
        raise Error(f"A test run of {what} with repeat={repeat}: it is run at least once.")
    if type in ON_CONTEXT and data is not None:
        raise Unsupported(f"{what} gets no packet: a test run of a program of type {type.name.lower()} takes only `context`.")
    if type in ONCE and repeat > 1:
        raise Unsupported(f"A program of type {type.name.lower()} runs once per test run; repeat={repeat} cannot be had.")
    if type in ON_FRAMES and data is not None and len(data) < ETHERNET_HEADER:
        raise Error(
            f"The packet for {what} has {len(data)} bytes; the kernel wants a frame of at least {ETHERNET_HEADER}, "
            "an Ethernet header."
        )


def _refused(number: int, what: str, type: ProgramType) -> Exception:
    if number in (ENOTSUPP, errno.EOPNOTSUPP):
        return Unsupported(
            f"The kernel has no test run for {type.name.lower()} programs, so {what} cannot be run here. "
            'Attach it and let its event happen, or run it on the virtual machine: engine="vm".'
        )
    return failure(
        number, f"A test run of {what}", needs=for_program(type), first=(4, 12), feature="test runs", reasons=REASONS
    )
