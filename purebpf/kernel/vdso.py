"""The running kernel's version as its own code has it, LINUX_VERSION_CODE: the note in the vDSO (arch/*/entry/vdso/note.S).

Before Linux 5.0 the kernel takes a kprobe's program only with exactly this number; what uname tells may be a distribution's.
"""

from __future__ import annotations

import ctypes
import struct
import sys

SYSINFO_EHDR = 33  # AT_SYSINFO_EHDR, include/uapi/linux/auxvec.h: where the vDSO lies
NOTE, OWNER = 4, b"Linux\0"  # PT_NOTE; the name of the note, whose type is 0
ORDER = "<" if sys.byteorder == "little" else ">"
SEGMENT = struct.Struct(ORDER + "IIQQQQQQ")  # Elf64_Phdr
HEAD = struct.Struct(ORDER + "III")  # Elf64_Nhdr: bytes of the name, bytes of what it says, type


def version_code() -> int:
    """Such as 0x06122c for 6.18.44; 0 where there is no vDSO, or none that says it."""
    library = ctypes.CDLL(None)
    library.getauxval.restype = ctypes.c_ulong
    library.getauxval.argtypes = (ctypes.c_ulong,)
    base = library.getauxval(SYSINFO_EHDR)
    if not base:
        return 0
    header = ctypes.string_at(base, 64)
    first, size, count = struct.unpack_from(ORDER + "Q", header, 32)[0], *struct.unpack_from(ORDER + "HH", header, 54)
    for number in range(count):
        kind, _, offset, _, _, length, *_ = SEGMENT.unpack(ctypes.string_at(base + first + number * size, SEGMENT.size))
        if kind == NOTE and (code := of_notes(ctypes.string_at(base + offset, length))):
            return code
    return 0


def of_notes(notes: bytes) -> int:
    """The version in a segment of notes; 0 for one without it."""
    while len(notes) >= HEAD.size:
        name, size, kind = HEAD.unpack_from(notes)
        begin = HEAD.size + (name + 3) // 4 * 4
        if kind == 0 and notes[HEAD.size : HEAD.size + name] == OWNER and size >= 4 and len(notes) >= begin + 4:
            return int.from_bytes(notes[begin : begin + 4], sys.byteorder)
        notes = notes[begin + (size + 3) // 4 * 4 :]
    return 0
