"""libbpf as a judge: a program as an object file, and the instructions that libbpf makes of it for a given BTF.

Only what CO-RE needs is in the file: one program, its types, its relocations (`.BTF.ext`). Needs libbpf.so.1 (Debian: libbpf1).
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import CFUNCTYPE, POINTER, Structure, c_bool, c_char_p, c_int, c_size_t, c_uint32, c_void_p
from functools import cache
from pathlib import Path
from struct import pack, unpack_from

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.elf import elf_sections
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.isa.codec import decode, encode
from purebpf.isa.instruction import Instruction
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import ProgramType

SECTION = "xdp"
REFUSED = "failed to perform CO-RE relocations"


class Refused(Exception):
    """libbpf could not relocate the program; the text is what it printed."""


class Options(Structure):
    _fields_ = (
        ("sz", c_size_t),
        ("object_name", c_char_p),
        ("relaxed_maps", c_bool),
        ("pin_root_path", c_char_p),
        ("unused", c_uint32),
        ("kconfig", c_char_p),
        ("btf_custom_path", c_char_p),
        ("kernel_log_buf", c_char_p),
        ("kernel_log_size", c_size_t),
        ("kernel_log_level", c_uint32),
    )


PRINT = CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)
printed: list[str] = []


@PRINT
def _print(level: int, text: bytes, arguments: int) -> int:
    line = ctypes.create_string_buffer(4096)
    ctypes.CDLL(None).vsnprintf(line, c_size_t(len(line)), text, c_void_p(arguments))
    printed.append(line.value.decode("utf-8", "replace"))
    return 0


@cache
def libbpf() -> ctypes.CDLL | None:
    """The library; None where it is not installed."""
    try:
        library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError:
        return None
    library.libbpf_set_print(_print)
    library.bpf_object__open_mem.restype = c_void_p
    library.bpf_object__open_mem.argtypes = (c_char_p, c_size_t, POINTER(Options))
    library.bpf_object__load.argtypes = library.bpf_object__close.argtypes = (c_void_p,)
    library.bpf_object__next_program.restype = c_void_p
    library.bpf_object__next_program.argtypes = (c_void_p, c_void_p)
    library.bpf_program__insns.restype = c_void_p
    library.bpf_program__insn_cnt.restype = c_size_t
    library.bpf_program__insns.argtypes = library.bpf_program__insn_cnt.argtypes = (c_void_p,)
    return library


def by_libbpf(data: bytes, btf: Path | None) -> list[bytes]:
    """The slots of an object's program after libbpf relocated it for the BTF in a file, or the running kernel's. Raises
    Refused."""
    library = libbpf()
    assert library
    options = Options(ctypes.sizeof(Options), b"judged", btf_custom_path=bytes(btf) if btf else None)
    printed.clear()
    judged = library.bpf_object__open_mem(data, len(data), ctypes.byref(options))
    assert judged, "".join(printed)
    try:
        library.bpf_object__load(judged)  # the verifier may refuse it afterwards
        if any(REFUSED in line for line in printed):
            raise Refused("".join(printed))
        program = library.bpf_object__next_program(judged, None)
        count = library.bpf_program__insn_cnt(program)
        code = ctypes.string_at(library.bpf_program__insns(program), 8 * count)
        return [code[at : at + 8] for at in range(0, len(code), 8)]
    finally:
        library.bpf_object__close(judged)


def slots(code: tuple[Instruction, ...]) -> list[bytes]:
    """Instructions as `by_libbpf` has them."""
    data = encode(code, sys.byteorder)
    return [data[at : at + 8] for at in range(0, len(data), 8)]


def as_object(spec: ProgramSpec) -> bytes:
    """A program with its types and relocations as an ELF object."""
    builder = BtfBuilder(sys.byteorder)
    for type in spec.types:
        builder.define(builder.reserve(), type)
    records = b"".join(
        pack("=IIII", each.slot * 8, each.type, builder.string(each.access), each.kind) for each in spec.relocations
    )
    core = pack("=III", 16, builder.string(SECTION), len(spec.relocations)) + records
    ext = pack("=HBBIIIIIII", 0xEB9F, 1, 0, 32, 0, 0, 0, 0, 0, len(core)) + core
    names = (
        b"\0"
        + b"\0".join(name.encode() for name in (SECTION, "license", ".BTF", ".BTF.ext", ".symtab", ".strtab", "main"))
        + b"\0"
    )
    code = encode(spec.instructions, sys.byteorder)
    at = lambda name: names.index(b"\0" + name.encode() + b"\0") + 1  # noqa: E731
    symbols = bytes(24) + pack("=IBBHQQ", at("main"), 0x12, 0, 1, 0, len(code))
    # name, type, flags, bytes, link, info, align, size of an entry
    rows = (
        (SECTION, 1, 6, code, 0, 0, 8, 0),
        ("license", 1, 3, b"GPL\0", 0, 0, 1, 0),
        (".BTF", 1, 0, builder.encode(), 0, 0, 8, 0),
        (".BTF.ext", 1, 0, ext, 0, 0, 8, 0),
        (".symtab", 2, 0, symbols, 6, 1, 8, 24),
        (".strtab", 3, 0, names, 0, 0, 1, 0),
    )
    body, table = b"", bytes(64)
    for name, kind, flags, content, link, info, align, entry in rows:
        body += bytes(-len(body) % 8)
        table += pack("=IIQQQQIIQQ", at(name), kind, flags, 0, 64 + len(body), len(content), link, info, align, entry)
        body += content
    body += bytes(-len(body) % 8)
    order = 1 if sys.byteorder == "little" else 2
    head = b"\x7fELF" + bytes((2, order, 1)) + bytes(9)
    head += pack("=HHIQQQIHHHHHH", 1, 247, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(rows) + 1, 6)
    return head + body + table


def of_object(data: bytes) -> tuple[ProgramSpec, Btf]:
    """The program in an object's first section, with its relocations; and its types."""
    found = elf_sections(memoryview(data), (".BTF", ".BTF.ext", SECTION), "object")
    btf, ext = Btf(bytes(found[".BTF"])), bytes(found[".BTF.ext"])
    header, at, size = unpack_from("=I16xII", ext, 4)
    at += header
    end, at = at + size, at + 4
    relocations = []
    while at < end:
        name, count = unpack_from("=II", ext, at)
        at += 8
        for each in range(count):
            offset, type, access, kind = unpack_from("=IIII", ext, at + 16 * each)
            assert btf.string(name) == SECTION
            relocations.append(CoreRelocation(offset // 8, CoreKind(kind), type, btf.string(access)))
        at += 16 * count
    types = tuple(type for _, type in btf)
    code = decode(bytes(found[SECTION]), sys.byteorder)
    return ProgramSpec("judged", ProgramType.XDP, code, types=types, relocations=tuple(relocations)), btf
