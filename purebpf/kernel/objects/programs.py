"""All that the kernel tells of a program, with the arrays that belong to it (bpf_prog_info; kernel/bpf/syscall.c)."""

from __future__ import annotations

import time
from struct import iter_unpack

from purebpf.data import data
from purebpf.kernel.attr import read
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.info import ProgramInfo, program_info, read_info
from purebpf.kernel.objects.btf import btf_of
from purebpf.kernel.objects.reading import array, fdinfo
from purebpf.tables.enums import ProgramType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.reader import Btf

LAYOUT = "bpf_prog_info"
LONGEST = 15  # bytes of a name, beyond which it is cut
LINE_BYTES, FUNC_BYTES = 16, 8
COLUMNS = (1 << 10) - 1


@data
class Line:
    """The source of the instructions from a slot on."""

    slot: int
    file: str
    text: str
    line: int
    column: int


@data
class Function:
    """A function of a program: its first slot and its declaration in C, such as "int count(void)"."""

    slot: int
    name: str
    declaration: str


def describe(descriptor: Descriptor) -> dict[str, object]:
    """The program by the keys of `bpftool prog show -j`, in its order."""
    info, raw = program_info(descriptor), read_info(descriptor, LAYOUT)
    beside = fdinfo(descriptor)
    found: dict[str, object] = {"id": info.id, "type": type_name(info.type)}
    if name := full_name(descriptor, info):
        found["name"] = name
    found |= {"tag": info.tag, "gpl_compatible": info.gpl_compatible}
    if info.run_time_ns:
        found |= {"run_time_ns": info.run_time_ns, "run_cnt": info.run_count}
    if info.recursion_misses:
        found["recursion_misses"] = info.recursion_misses
    found |= {"loaded_at": int(loaded_at(info.load_time_ns)), "uid": read(LAYOUT, raw, "created_by_uid")}
    found |= {"bytes_xlated": info.xlated_size, "jited": bool(info.jited_size)}
    if info.jited_size:
        found["bytes_jited"] = info.jited_size
    if "memlock" in beside:
        found["bytes_memlock"] = int(beside["memlock"])
    if maps := map_ids(descriptor):
        found["map_ids"] = maps
    if info.btf_id:
        found["btf_id"] = info.btf_id
    return found


def type_name(number: int) -> object:
    """The type's name as tools write it; its number where it is newer than our tables."""
    try:
        return ProgramType(number).name.lower()
    except ValueError:
        return number


def loaded_at(nanoseconds: int) -> float:
    """When it was loaded, in seconds of the Unix epoch: the kernel counts from boot."""
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + nanoseconds / 1e9


def map_ids(descriptor: Descriptor) -> list[int]:
    data = array(descriptor, LAYOUT, "map_ids", "nr_map_ids", 4)
    return [number for (number,) in iter_unpack("=I", data)]


def full_name(descriptor: Descriptor, info: ProgramInfo) -> str:
    """The program's name, of which the kernel itself keeps 15 bytes; its BTF has all of it."""
    if len(info.name) < LONGEST or not info.btf_id:
        return info.name
    first = next(iter(functions(descriptor, info)), None)
    return first.name if first is not None and first.name.startswith(info.name) else info.name


def functions(descriptor: Descriptor, info: ProgramInfo) -> list[Function]:
    """Its functions, the program itself first; none where it was loaded without BTF."""
    if not info.btf_id:
        return []
    records = array(descriptor, LAYOUT, "func_info", "nr_func_info", FUNC_BYTES, {"func_info_rec_size": FUNC_BYTES})
    types = btf_of(info.btf_id)
    if types is None:
        return []
    return [Function(slot, types.name(number), _declaration(types, number)) for slot, number in iter_unpack("=II", records)]


def _declaration(types: Btf, number: int) -> str:
    """As bpftool writes it: stars stand alone."""
    from purebpf.btf.c_header import c_type
    from purebpf.btf.types import Func

    function = types.type(number)
    text = c_type(types, function.type, function.name) if isinstance(function, Func) else types.name(number)
    text = text.removesuffix("(void)") + "()" if text.endswith("(void)") else text
    return " ".join(text.replace("*", " * ").split()).replace("* )", "*)").replace("( *", "(*")


def lines(descriptor: Descriptor, info: ProgramInfo) -> list[Line]:
    """Where its source lines begin in the kernel's form of it."""
    records = array(descriptor, LAYOUT, "line_info", "nr_line_info", LINE_BYTES, {"line_info_rec_size": LINE_BYTES})
    types = btf_of(info.btf_id) if records else None
    if types is None:
        return []
    rows = iter_unpack("=IIII", records)
    return [Line(slot, types.string(file), types.string(text), at >> 10, at & COLUMNS) for slot, file, text, at in rows]


def xlated(descriptor: Descriptor) -> bytes:
    """The instructions as the verifier has rewritten them; nothing where they are hidden from this process."""
    return array(descriptor, LAYOUT, "xlated_prog_insns", "xlated_prog_len")


def jited(descriptor: Descriptor) -> bytes:
    """The machine code; nothing where there is none, or where it is hidden."""
    return array(descriptor, LAYOUT, "jited_prog_insns", "jited_prog_len")
