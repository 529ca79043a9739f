"""A loaded program's machine code: its functions, and the bytes under the Python lines that they come from. It is not
disassembled."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from struct import iter_unpack

from purebpf.data import data
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.info import ProgramInfo
from purebpf.kernel.objects.programs import LAYOUT, Line, functions, jited, lines
from purebpf.kernel.objects.reading import array


@data
class Part:
    """One function: its declaration, where it is in the kernel (0 where that is hidden), and its pieces: (offset, source line
    that begins there, bytes)."""

    declaration: str
    address: int
    pieces: tuple[tuple[int, Line | None, bytes], ...]


def parts(descriptor: Descriptor, info: ProgramInfo) -> Iterator[Part]:
    """The functions in order; none where there is no machine code, or where it is hidden from this process."""
    code = jited(descriptor)
    if not code:
        return
    starts = _numbers(descriptor, "jited_ksyms", "nr_jited_ksyms", 8)
    lengths = _numbers(descriptor, "jited_func_lens", "nr_jited_func_lens", 4) or [len(code)]
    places = list(zip(_line_addresses(descriptor), lines(descriptor, info), strict=False))
    known = functions(descriptor, info)
    at = 0
    for index, length in enumerate(lengths):
        start = starts[index] if index < len(starts) else 0
        begins = {where - start: line for where, line in places if start and start <= where < start + length}
        name = known[index].declaration if index < len(known) else f"function {index}"
        yield Part(name, start, tuple(_pieces(code[at : at + length], begins)))
        at += length


def _numbers(descriptor: Descriptor, pointer: str, count: str, size: int) -> list[int]:
    return [number for (number,) in iter_unpack("=Q" if size == 8 else "=I", array(descriptor, LAYOUT, pointer, count, size))]


def _line_addresses(descriptor: Descriptor) -> list[int]:
    size = {"jited_line_info_rec_size": 8}
    data = array(descriptor, LAYOUT, "jited_line_info", "nr_jited_line_info", 8, size)
    return [number for (number,) in iter_unpack("=Q", data)]


def _pieces(code: bytes, begins: dict[int, Line]) -> Iterator[tuple[int, Line | None, bytes]]:
    places = sorted({0, *begins})
    for at, end in pairwise([*places, len(code)]):
        yield at, begins.get(at), code[at:end]


def as_json(part: Part, places: bool) -> dict[str, object]:
    pieces: list[dict[str, object]] = []
    for at, line, code in part.pieces:
        piece: dict[str, object] = {"pc": f"{at:#x}"}
        if line is not None:
            piece["src"] = line.text
            if places:
                piece |= {"file": line.file, "line_num": line.line, "line_col": line.column}
        pieces.append(piece | {"code": code.hex(" ")})
    return {"proto": part.declaration, "address": f"{part.address:#x}", "insns": pieces}


def as_text(part: Part, places: bool) -> Iterator[str]:
    yield f"{part.declaration}: at {part.address:#x}" if part.address else f"{part.declaration}:"
    for at, line, code in part.pieces:
        if line is not None:
            where = f" [file:{line.file} line_num:{line.line} line_col:{line.column}]" if places else ""
            yield f"; {line.text}{where}"
        yield f"{at:6x}: {code.hex(' ')}"
