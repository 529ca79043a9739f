"""`.BTF.ext`: what is known of instructions, by section: functions, lines, CO-RE relocations (Documentation/bpf/btf.rst).

Offsets are bytes from the start of the section, names and lines are text, types are numbers in the object's `.BTF`. Records may
be longer than those known here; what is behind is of a later format and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct

from purebpf.btf.errors import BtfError
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import CoreKind
from purebpf.data import data, made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

MAGIC, VERSION = 0xEB9F, 1
HEAD, PARTS = "HBBI", "IIIIII"  # magic, version, flags, size of the header; offset and size of the three parts
SHORT_HEADER = 24  # without CO-RE relocations
FUNCTION, LINE, CORE = "II", "IIII", "IIII"
COLUMN_BITS = 10
Rows = dict[str, list[tuple[int, ...]]]


@data
class FunctionRecord:
    """A function begins at `offset`; `type` is its FUNC."""

    offset: int
    type: int


@data
class LineRecord:
    """The instructions from `offset` on come from this place; `text` is the source line itself."""

    offset: int
    file: str
    text: str
    line: int
    column: int


@data
class CoreRecord:
    """The instruction at `offset` asks for something, see `btf.relocation.CoreRelocation`."""

    offset: int
    type: int
    access: str
    kind: CoreKind


@data
class Ext:
    """The records by the name of the section that they are about."""

    functions: dict[str, list[FunctionRecord]] = made(dict)
    lines: dict[str, list[LineRecord]] = made(dict)
    relocations: dict[str, list[CoreRecord]] = made(dict)


def read(raw: bytes, btf: Btf, origin: str = ".BTF.ext") -> Ext:
    """The records in these bytes; `btf` is that of the same object. Raises BtfError."""
    reader = _Reader(raw, btf, origin)
    parts = reader.parts()
    return Ext(
        {
            name: [FunctionRecord(at, reader.type(type)) for at, type in rows]
            for name, rows in reader.sections(parts[0], FUNCTION)
        },
        {name: [reader.line(row) for row in rows] for name, rows in reader.sections(parts[1], LINE)},
        {name: [reader.core(row) for row in rows] for name, rows in reader.sections(parts[2], CORE)},
    )


class _Reader:
    """One `.BTF.ext` being read."""

    def __init__(self, raw: bytes, btf: Btf, origin: str) -> None:
        self.raw, self.btf, self.origin = raw, btf, origin
        self.mark = "<" if btf.byteorder == "little" else ">"
        self.texts: dict[int, str] = {}

    def parts(self) -> list[tuple[int, int]]:
        """(start, size) of the parts: functions, lines, relocations; size 0 for one that is not there."""
        raw, head = self.raw, Struct(self.mark + HEAD)
        if len(raw) < SHORT_HEADER:
            raise BtfError(f"{self.origin}: {len(raw)} bytes are no .BTF.ext; its header alone has {SHORT_HEADER}")
        magic, version, flags, size = head.unpack_from(raw)
        if magic != MAGIC:
            raise BtfError(f"{self.origin}: it begins with {raw[:2].hex()}, not with the number of its .BTF", 0)
        if version != VERSION or flags:
            raise BtfError(f"{self.origin}: it has version {version} and flags {flags:#x}; only 1 and 0 are known", 2)
        if size < SHORT_HEADER or size > len(raw):
            raise BtfError(f"{self.origin}: its header of {size} bytes is cut off or damaged", 4)
        count = 3 if size >= SHORT_HEADER + 8 else 2
        numbers = Struct(f"{self.mark}{2 * count}I").unpack_from(raw, head.size)
        found = [(size + numbers[2 * part], numbers[2 * part + 1]) for part in range(count)]
        for part, (start, length) in enumerate(found):
            if start + length > len(raw):
                raise BtfError(f"{self.origin}: part {part} of {length} bytes at {start} reaches beyond the end", 8 + 8 * part)
        return [*found, (0, 0)][:3]

    def sections(self, part: tuple[int, int], layout: str) -> Iterator[tuple[str, list[tuple[int, ...]]]]:
        """(name of a section, its records) of a part; a section that comes twice is told once."""
        at, end = part[0], sum(part)
        if not part[1]:
            return
        least, word, pair = Struct(self.mark + layout), Struct(self.mark + "I"), Struct(self.mark + "II")
        (each,) = word.unpack(self._bytes(at, 4, end))
        if each < least.size or each % 4:
            raise BtfError(f"{self.origin}: records of {each} bytes; they have {least.size} or more", at)
        at += 4
        found: dict[str, list[tuple[int, ...]]] = {}
        whole = Struct(f"{self.mark}{layout}{each - least.size}x")
        while at < end:
            name, count = pair.unpack(self._bytes(at, 8, end))
            rows = self._bytes(at + 8, each * count, end)
            found.setdefault(self.text(name), []).extend(whole.iter_unpack(rows))
            at += 8 + each * count
        yield from found.items()

    def _bytes(self, at: int, size: int, end: int) -> bytes:
        if at + size > end:
            raise BtfError(f"{self.origin}: {size} bytes of records reach beyond the end of their part", at)
        return self.raw[at : at + size]

    def text(self, offset: int) -> str:
        if offset not in self.texts:
            self.texts[offset] = self.btf.string(offset)
        return self.texts[offset]

    def type(self, number: int) -> int:
        if number >= len(self.btf):
            raise BtfError(f"{self.origin}: it names type {number}; the highest number is {len(self.btf) - 1}")
        return number

    def line(self, row: tuple[int, ...]) -> LineRecord:
        offset, file, text, place = row
        return LineRecord(offset, self.text(file), self.text(text), place >> COLUMN_BITS, place & (1 << COLUMN_BITS) - 1)

    def core(self, row: tuple[int, ...]) -> CoreRecord:
        offset, type, access, kind = row
        if kind > max(CoreKind):
            raise BtfError(
                f"{self.origin}: a CO-RE relocation at {offset} is of kind {kind}; the last known is {max(CoreKind)}"
            )
        return CoreRecord(offset, self.type(type), self.text(access), CoreKind(kind))


def written(ext: Ext, byte_order: Literal["little", "big"], string: Callable[[str], int]) -> bytes:
    """The records as bytes. `string` gives the place of a text in the string section of the object's `.BTF`."""
    mark = "<" if byte_order == "little" else ">"
    functions: Rows = {name: [(each.offset, each.type) for each in records] for name, records in ext.functions.items()}
    lines: Rows = {name: [_line(each, string) for each in records] for name, records in ext.lines.items()}
    asked: Rows = {
        name: [(each.offset, each.type, string(each.access), each.kind) for each in records]
        for name, records in ext.relocations.items()
    }
    parts = [
        _part(mark, FUNCTION, functions, string),
        _part(mark, LINE, lines, string),
        _part(mark, CORE, asked, string),
    ]
    places, at = [], 0
    for part in parts:
        places += [at, len(part)]
        at += len(part)
    head = Struct(mark + HEAD + PARTS)
    return head.pack(MAGIC, VERSION, 0, head.size, *places) + b"".join(parts)


def _line(each: LineRecord, string: Callable[[str], int]) -> tuple[int, ...]:
    """A record of a line; places that it has no room for are the highest it has."""
    column = min(each.column, (1 << COLUMN_BITS) - 1)
    line = min(each.line, (1 << 32 - COLUMN_BITS) - 1)
    return each.offset, string(each.file), string(each.text), line << COLUMN_BITS | column


def _part(mark: str, layout: str, rows: Rows, string: Callable[[str], int]) -> bytes:
    """One part: the size of its records, and for each section its name, their number and they."""
    each, pair = Struct(mark + layout), Struct(mark + "II")
    found = [
        pair.pack(string(name), len(some)) + b"".join([each.pack(*row) for row in some]) for name, some in rows.items() if some
    ]
    return Struct(mark + "I").pack(each.size) + b"".join(found) if found else b""
