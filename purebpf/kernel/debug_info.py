"""What the kernel is told about a program beside its instructions: the types of its functions, and the source line of each
instruction (Linux 5.0; kernel/bpf/verifier.c:check_btf_func, check_btf_line).

`bpftool prog dump xlated linum` and the verifier's log show these lines; callbacks and global functions need the types. It is
sent with every program, so the plain case is encoded here, without the modules that know all of BTF.
"""

from __future__ import annotations

from struct import iter_unpack, pack

from purebpf.errors import KernelError, Unsupported
from purebpf.isa.instruction import WIDE_LOAD
from purebpf.isa.opcodes import PSEUDO_FUNC
from purebpf.kernel.btf import load_btf
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.map import KernelMap
from purebpf.kernel.syscall import Pinned, address, pin
from purebpf.spec import ProgramSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from purebpf.engine import EngineMap
    from purebpf.isa.instruction import SourceLine
    from purebpf.kernel import verifier

SINCE = (5, 0)
MAGIC, VERSION, HEADER_BYTES = 0xEB9F, 1, 24
INT, PTR, STRUCT, FUNC, FUNC_PROTO = 1, 2, 4, 12, 13
STATIC, GLOBAL = 0, 1  # the linkage of functions; programs are global, as compilers of C have them
GLOBAL_SINCE = (5, 6)
SIGNED = 1 << 24  # in what follows an integer
COLUMNS = (1 << 10) - 1
FUNC_INFO_BYTES, LINE_INFO_BYTES = 8, 16


class Strings:
    """A string section being made."""

    def __init__(self) -> None:
        self.data = bytearray(b"\0")
        self._places: dict[str, int] = {"": 0}

    def place(self, text: str) -> int:
        if text not in self._places:
            self._places[text] = len(self.data)
            self.data += text.replace("\0", "").encode("utf-8", "replace") + b"\0"
        return self._places[text]


def c_name(name: str) -> str:
    """A name that the kernel takes for one of a function."""
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)


def tell(spec: ProgramSpec, what: str, fields: verifier.Fields) -> tuple[Descriptor, list[Pinned]]:
    """Have the fields of BPF_PROG_LOAD tell it, as long as the results are kept and open. A kernel that wants none of it gets
    none, unless the program needs the types. Raises KernelError."""
    needed = _needs_types(spec)
    if not needed and kernel_version() < SINCE:
        return Descriptor.none(), []
    strings = Strings()
    types, functions = _functions(spec, strings)
    plain = _blob(types, strings)
    lines = lines_of(spec, strings)
    try:
        btf = load_btf(_blob(types, strings), what, exactly=True)
    except KernelError:
        if not needed:
            return Descriptor.none(), []
        btf, lines = load_btf(plain, what), b""
    held = [pin(functions), pin(lines)]
    fields["prog_btf_fd"] = btf.number
    for name, records, size in (("func_info", held[0], FUNC_INFO_BYTES), ("line_info", held[1], LINE_INFO_BYTES)):
        fields[name] = address(records)
        fields[f"{name}_rec_size"] = size
        fields[f"{name}_cnt"] = (len(functions) if name == "func_info" else len(lines)) // size
    return btf, held


def numbers(spec: ProgramSpec, held: list[Pinned]) -> dict[str, int]:
    """The types of a program's functions in what was told, by name."""
    if not held:
        return {}
    records = iter_unpack("=II", held[0].raw[: FUNC_INFO_BYTES * len(spec.functions)])
    return {function.name: type for function, (_, type) in zip(spec.functions, records, strict=True)}


def share(spec: ProgramSpec, maps: Mapping[str, EngineMap], fields: verifier.Fields) -> tuple[Descriptor, list[Pinned]]:
    """Have the fields name the types of a map as the program's own. They tell nothing of its functions but that they are some,
    and no lines. Raises Unsupported where the map was not created for this."""
    map = maps[spec.types_of]
    assert isinstance(map, KernelMap)
    if map.types.closed or map.spec.types is None:
        raise Unsupported(
            f"The program {spec.name!r} makes objects of types that the map {spec.types_of!r} was created with; it has to be "
            "created with the program, not taken from elsewhere."
        )
    functions = b"".join(pack("=II", function.slot, map.spec.types.function) for function in spec.functions)
    held = [pin(functions)]
    fields |= {
        "prog_btf_fd": map.types.number,
        "func_info": address(held[0]),
        "func_info_rec_size": FUNC_INFO_BYTES,
        "func_info_cnt": len(spec.functions),
    }
    return Descriptor.none(), held


def _blob(types: bytes, strings: Strings) -> bytes:
    header = pack("=HBBIIIII", MAGIC, VERSION, 0, HEADER_BYTES, 0, len(types), len(types), len(strings.data))
    return header + types + bytes(strings.data)


def _needs_types(spec: ProgramSpec) -> bool:
    """Whether the kernel refuses the program without the types of its functions."""
    return any(function.type for function in spec.functions) or any(
        i.opcode == WIDE_LOAD and i.src == PSEUDO_FUNC for i in spec.instructions
    )


def _functions(spec: ProgramSpec, strings: Strings) -> tuple[bytes, bytes]:
    """(types, function records): each function as its type says, else as a static one without arguments."""
    last = max((function.type for function in spec.functions), default=0)
    types = b""
    if last:
        from purebpf.btf.encode import words_of

        words = [word for type in spec.types[:last] for word in words_of(type, strings.place)]
        types = pack(f"={len(words)}I", *words)
    integer, prototype = last + 1, last + 2
    types += pack("=IIII", strings.place("int"), INT << 24, 4, SIGNED | 32)
    types += pack("=III", 0, FUNC_PROTO << 24, integer)
    records, number = b"", prototype
    for function in spec.functions:
        if not function.type:
            shown, linkage = prototype, STATIC
            if function.context:
                types += _with_context(function.context, strings, number, integer)
                number += 3
                shown, linkage = number, GLOBAL if kernel_version() >= GLOBAL_SINCE else STATIC
            types += pack("=III", strings.place(c_name(function.name)), FUNC << 24 | linkage, shown)
            number += 1
        records += pack("=II", function.slot, function.type or number)
    return types, records


def _with_context(struct: str, strings: Strings, last: int, integer: int) -> bytes:
    """A struct, a pointer to it, and the prototype of a function that takes that; they follow the type `last`. Programs that
    trace the program have its context by this."""
    types = pack("=III", strings.place(struct), STRUCT << 24, 0) + pack("=III", 0, PTR << 24, last + 1)
    return types + pack("=IIIII", 0, FUNC_PROTO << 24 | 1, integer, strings.place("ctx"), last + 2)


def lines_of(spec: ProgramSpec, strings: Strings) -> bytes:
    """A record for each instruction where another expression begins, and for the first of each function."""
    starts = {function.slot for function in spec.functions} or {0}
    known = next((i.source for i in spec.instructions if i.source is not None), None)
    if known is None:
        return b""
    records, before, slot = [], None, 0
    for instruction in spec.instructions:
        source: SourceLine | None = instruction.source or (before or known if slot in starts else None)
        if source is not None and (slot in starts or source != before):
            place = source.line << 10 | min(source.column, COLUMNS)
            records.append(pack("=IIII", slot, strings.place(source.file), strings.place(source.text.strip()), place))
            before = source
        slot += instruction.slots
    return b"".join(records)
