"""The format language of bpf_trace_printk, bpf_trace_vprintk and bpf_snprintf (bpf_bprintf_prepare in kernel/bpf/helpers.c).

`%[flags][width]` and then one of d i u x X, with l or ll for 64 bits; c; s, ps-like kernel and user texts (pks, pus); p,
px, pK as 64-bit hexadecimal numbers; pI4 pi4 pI6 pi6 for addresses in memory. Flags are `0`, `+`, `-` and blank.
"""

from __future__ import annotations

from purebpf.vm.memory import Fault, Memory
from purebpf.vm.runtime import signed

FLAGS = b"0+- "
DIGITS = b"0123456789"
POINTERS = b"Kx"
ENDS_POINTER = b" \t\n\v\f\r!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"  # blanks and punctuation
PRINTABLE = frozenset((*range(0x20, 0x7F), *range(0x80, 0x100), *b"\t\n\v\f\r"))
LONGEST_TEXT = 1024
LONGEST_FIELD = 32767  # FIELD_WIDTH_MAX of lib/vsprintf.c


class FormatError(Exception):
    """A format that the kernel refuses with -EINVAL."""


def render(fmt: bytes, arguments: list[int], memory: Memory) -> bytes:
    """The text. Raises FormatError; a text or address that cannot be read is empty or zero, as in the kernel."""
    if not PRINTABLE.issuperset(fmt):
        raise FormatError("the format holds a byte that cannot be printed")
    parts: list[bytes] = []
    given = iter(arguments)
    at = 0
    while at < len(fmt):
        percent = fmt.find(b"%", at)
        if percent < 0:
            parts.append(fmt[at:])
            break
        parts.append(fmt[at:percent])
        if fmt[percent + 1 : percent + 2] == b"%":
            parts.append(b"%")
            at = percent + 2
            continue
        value = next(given, None)
        if value is None:
            raise FormatError("the format has more conversions than there are arguments")
        text, at = one(fmt, percent + 1, value, memory)
        parts.append(text)
    return b"".join(parts)


def one(fmt: bytes, at: int, value: int, memory: Memory) -> tuple[bytes, int]:
    """One conversion, from behind its percent sign: its text, and where the rest of the format begins."""
    start = at
    while fmt[at : at + 1] and fmt[at] in FLAGS:
        at += 1
    flags = fmt[start:at]
    start = at
    while fmt[at : at + 1] and fmt[at] in DIGITS:
        at += 1
    width = min(int(fmt[start:at] or b"0"), LONGEST_FIELD)
    letter = fmt[at : at + 1]
    if letter == b"c":
        return pad(bytes([value & 0xFF]), width, flags), at + 1
    if letter == b"s":
        return text(fmt, at + 1, value, width, flags, memory)
    if letter == b"p":
        return pointer(fmt, at + 1, value, width, flags, memory)
    longs = 0
    while longs < 2 and fmt[at : at + 1] == b"l":
        at, longs = at + 1, longs + 1
    return integer(fmt[at : at + 1], value, 64 if longs else 32, width, flags), at + 1


def pad(shown: bytes, width: int, flags: bytes) -> bytes:
    return shown.ljust(width) if b"-" in flags else shown.rjust(width)


def integer(letter: bytes, value: int, bits: int, width: int, flags: bytes) -> bytes:
    sign = b""
    value &= (1 << bits) - 1
    if letter in (b"d", b"i"):
        number = signed(value, bits)
        sign = b"-" if number < 0 else b"+" if b"+" in flags else b" " if b" " in flags else b""
        shown = b"%d" % abs(number)
    elif letter in (b"u", b"x", b"X"):
        shown = {b"u": b"%d", b"x": b"%x", b"X": b"%X"}[letter] % value
    else:
        raise FormatError(f"%{letter.decode('latin-1')} is no conversion")
    if b"0" in flags and b"-" not in flags:
        shown = shown.rjust(width - len(sign), b"0")
    return pad(sign + shown, width, flags)


def text(fmt: bytes, at: int, address: int, width: int, flags: bytes, memory: Memory) -> tuple[bytes, int]:
    if fmt[at : at + 1] and fmt[at] not in ENDS_POINTER:
        raise FormatError("a %s is followed by a letter or digit")
    try:
        found = memory.read_text(address, LONGEST_TEXT - 1)
    except Fault:
        found = b""
    return pad(found, width, flags), at


def pointer(fmt: bytes, at: int, value: int, width: int, flags: bytes, memory: Memory) -> tuple[bytes, int]:
    """What follows `%p`. The kernel hides an address behind a hash unless it is `%px`; here it is shown."""
    kind = fmt[at : at + 1]
    shown = integer(b"x", value, 64, width, flags) if width else b"%016x" % value
    if not kind or kind in ENDS_POINTER:
        return shown, at
    if kind in b"ku" and fmt[at + 1 : at + 2] == b"s":
        return text(fmt, at + 2, value, width, flags, memory)
    if kind in POINTERS:
        return shown, at + 1
    size = {b"4": 4, b"6": 16}.get(fmt[at + 1 : at + 2])
    if kind not in b"iI" or size is None:
        raise FormatError(f"%p{kind.decode('latin-1')} is no conversion here")
    try:
        data = memory.read(value, size)
    except Fault:
        data = bytes(size)
    if size == 4:
        shown = b".".join((b"%d" if kind == b"I" else b"%03d") % byte for byte in data)
    else:
        groups = [b"%02x%02x" % (data[index], data[index + 1]) for index in range(0, 16, 2)]
        shown = (b":" if kind == b"I" else b"").join(groups)
    return pad(shown, width, flags), at + 2
