"""Helpers that print and parse (bpf_bprintf_prepare and __bpf_strtoull in kernel/bpf/helpers.c, kernel/trace/bpf_trace.c)."""

from __future__ import annotations

import time

from purebpf.vm.facts import EINVAL, ERANGE
from purebpf.vm.formats import FormatError, render
from purebpf.vm.machine import Machine
from purebpf.vm.trace import TraceRecord

PRINTK_ARGUMENTS = 3
MOST_ARGUMENTS = 12  # MAX_BPRINTF_VARARGS
BUFFER_BYTES = 1024  # MAX_BPRINTF_BUF
BASES = (0, 8, 10, 16)
NUMBER_BYTES = 63  # what of a number's text is looked at
SPACE = b" \t\n\v\f\r\xa0"  # isspace() of the kernel's Latin 1 table
DIGITS = b"0123456789abcdef"


def print_line(vm: Machine, fmt: bytes, arguments: list[int]) -> int:
    """Add a line to the trace; its length."""
    try:
        text = render(fmt, arguments, vm.memory)
    except FormatError:
        return -EINVAL
    shown = text[: BUFFER_BYTES - 1].decode("utf-8", "replace").rstrip("\n")
    comm = vm.task.comm.decode("utf-8", "replace")
    vm.trace.add(TraceRecord(comm, vm.task.tid, vm.cpu, time.monotonic(), shown))
    return len(text)


def terminated(data: bytes) -> bytes | None:
    """The text up to the NUL, None without one."""
    text, nul, _ = data.partition(b"\0")
    return text if nul else None


def trace_printk(vm: Machine, fmt: int, fmt_size: int, registers: dict[str, int]) -> int:
    """Print with up to three integers, in r3 to r5. A register that was never set counts as 0."""
    text = terminated(vm.memory.read(fmt, fmt_size & 0xFFFF_FFFF))
    if text is None:
        return -EINVAL
    return print_line(vm, text, [registers.get(f"r{number}", 0) for number in range(3, 3 + PRINTK_ARGUMENTS)])


def arguments_at(vm: Machine, data: int, size: int) -> list[int] | None:
    """The 64-bit integers that a caller passes in memory, or None where the size is not possible."""
    size &= 0xFFFF_FFFF
    if size % 8 or size > MOST_ARGUMENTS * 8 or (size and not data):
        return None
    block = vm.memory.read(data, size)
    return [vm.integer(block[start : start + 8]) for start in range(0, size, 8)]


def trace_vprintk(vm: Machine, fmt: int, fmt_size: int, data: int, data_len: int) -> int:
    arguments = arguments_at(vm, data, data_len)
    text = terminated(vm.memory.read(fmt, fmt_size & 0xFFFF_FFFF))
    if arguments is None or text is None:
        return -EINVAL
    return print_line(vm, text, arguments)


def snprintf(vm: Machine, str: int, str_size: int, fmt: int, data: int, data_len: int) -> int:
    """The bytes that the whole text takes with its NUL; of them at most `str_size` are written."""
    arguments = arguments_at(vm, data, data_len)
    if arguments is None:
        return -EINVAL
    try:
        text = render(vm.memory.read_text(fmt, BUFFER_BYTES), arguments, vm.memory)
    except FormatError:
        return -EINVAL
    size = str_size & 0xFFFF_FFFF
    if size:
        vm.memory.write(str, text[: size - 1] + b"\0")
    return len(text) + 1


def parse_number(text: bytes, flags: int) -> tuple[int, bool, int]:
    """The number at the beginning of a text, whether a minus precedes it, and the bytes used, or (0, False, -errno)."""
    if not text or flags not in BASES:
        return 0, False, -EINVAL
    rest = text.lstrip(SPACE)
    negative = rest[:1] == b"-"
    rest = rest[negative:][:NUMBER_BYTES].lower()
    used = len(text) - len(text.lstrip(SPACE)) + negative
    base = flags
    hexadecimal = rest[:2] == b"0x" and rest[2:3] != b"" and rest[2:3] in DIGITS
    if base == 0:
        base = 16 if hexadecimal else 8 if rest[:1] == b"0" else 10
    if base == 16 and rest[:2] == b"0x":
        rest, used = rest[2:], used + 2
    length = next((at for at, byte in enumerate(rest) if byte not in DIGITS[:base]), len(rest))
    if not length:
        return 0, False, -EINVAL
    value = int(rest[:length], base)
    return (value, negative, used + length) if value < 1 << 64 else (0, False, -ERANGE)


def convert(vm: Machine, buf: int, buf_len: int, flags: int, res: int, is_signed: bool) -> int:
    vm.memory.check_writable(res, 8)
    value, negative, used = parse_number(vm.memory.read(buf, buf_len), flags)
    if used > 0 and negative and not is_signed:
        used = -EINVAL
    if used > 0 and is_signed and not -(1 << 63) <= (-value if negative else value) < 1 << 63:
        used = -ERANGE
    vm.memory.write(res, vm.bytes(0 if used < 0 else -value if negative else value, 8))
    return used


def strtol(vm: Machine, buf: int, buf_len: int, flags: int, res: int) -> int:
    """Parse a signed number; the bytes used, or -errno, and then the result is 0."""
    return convert(vm, buf, buf_len, flags, res, True)


def strtoul(vm: Machine, buf: int, buf_len: int, flags: int, res: int) -> int:
    return convert(vm, buf, buf_len, flags, res, False)


HELPERS = (trace_printk, trace_vprintk, snprintf, strtol, strtoul)
