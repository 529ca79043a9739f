"""libbpf as a judge of sizes, alignments and the C header, for the whole kernel."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from purebpf.btf.reader import Btf, BtfError
from purebpf.btf.running import kernel_btf
from purebpf.btf.types import Kind
from purebpf.errors import Unsupported
from tests.btf.libbpf import libbpf
from tests.btf.test_c import needs_compiler, run, whole_header

WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)


@pytest.fixture(scope="module")
def kernel() -> Btf:
    try:
        return kernel_btf()
    except Unsupported as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def judge(kernel: Btf) -> Iterator[tuple[ctypes.CDLL, ctypes.c_void_p]]:
    """libbpf, and the kernel's BTF in it."""
    library = libbpf()
    if library is None:
        pytest.skip("there is no libbpf.so.1 to compare with")
    raw = bytes(kernel.raw)
    library.btf__new.restype = library.btf_dump__new.restype = ctypes.c_void_p
    library.btf__resolve_size.restype = ctypes.c_int64
    there = ctypes.c_void_p(library.btf__new(raw, len(raw)))
    yield library, there
    library.btf__free(there)


def test_sizes_and_alignments_are_those_of_libbpf(kernel: Btf, judge: tuple[ctypes.CDLL, ctypes.c_void_p]) -> None:
    library, there = judge
    sizes = alignments = 0
    for number in range(1, len(kernel)):
        try:
            size: int = kernel.size_of(number)
        except BtfError:
            continue
        assert size == library.btf__resolve_size(there, number), number
        sizes += 1
        if kernel.kind(number) not in (Kind.VAR, Kind.DATASEC):  # libbpf has no alignments of these
            mine, theirs = kernel.align_of(number), library.btf__align_of(there, number)
            assert mine == theirs or (mine, theirs) == (16, 8), number  # C aligns __int128 to 16 bytes, libbpf says 8
            alignments += mine == theirs
    assert sizes > 10_000
    assert alignments > 0.98 * sizes


def written_by(library: ctypes.CDLL, there: ctypes.c_void_p, count: int) -> str:
    """The C of all types as libbpf writes it."""
    pieces: list[bytes] = []
    line = ctypes.create_string_buffer(1 << 16)
    format_into = ctypes.CDLL(None).vsnprintf

    @WRITE
    def write(context: int, text: bytes, arguments: int) -> None:
        format_into(line, ctypes.c_size_t(len(line)), text, ctypes.c_void_p(arguments))
        pieces.append(line.value)

    dump = ctypes.c_void_p(library.btf_dump__new(there, write, None, None))
    for number in range(1, count):
        assert library.btf_dump__dump_type(dump, number) == 0
    library.btf_dump__free(dump)
    return b"".join(pieces).decode()


@needs_compiler
def test_compiler_finds_both_headers_equal(kernel: Btf, judge: tuple[ctypes.CDLL, ctypes.c_void_p], tmp_path: Path) -> None:
    """Sizes and offsets that our types have are asserted of libbpf's; types of equal names may have their numbers exchanged."""
    theirs = written_by(*judge, len(kernel))
    checks = [line for line in whole_header().splitlines() if line.startswith("_Static_assert")]
    names = set(re.findall(r"^(?:struct|union) \w+(?= {)", theirs, re.MULTILINE))
    twice = {name.partition("___")[0] for name in names if re.search(r"___\d+$", name)}
    asked = [
        line
        for line in checks
        if (found := re.search(r"(?:struct|union) \w+", line)) and found[0].partition("___")[0] not in twice
    ]
    assert len(asked) > 0.9 * len(checks)
    run(theirs + "\n" + "\n".join(asked), tmp_path, "-fsyntax-only")
