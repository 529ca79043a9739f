"""Programs on functions of processes: at their start, at an offset, or when they return (Linux 4.1; as a link 5.15).

A probe is in a file: every process that has it mapped runs the program, or only one process. The kernel wants the offset in
the file; for a symbol it comes from the file's symbol tables.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from purebpf.errors import Error
from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.link.kprobe import returning
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.probes import Probe, attach_probe
from purebpf.kernel.program import KernelProgram

OPTIONS = {
    "binary": "the file, or a library's or command's name, when the program does not name it itself",
    "symbol": "the symbol, 'symbol+offset', or the offset in the file as a number",
    "pid": "the process to probe, 0 for this one (without it: all that have the file mapped)",
    "cookie": "a number that bpf_get_attach_cookie returns (Linux 5.15)",
}
REASONS = {
    errno.EINVAL: "The kernel does not probe this place: the offset is not at an instruction that it can step over, or the "
    "file is none that can be mapped.",
    errno.EIO: "The file cannot be read at this offset, or is on a file system without the means for probes.",
    errno.ENOENT: "There is no such file.",
    errno.ESRCH: "There is no such process.",
    errno.ENOEXEC: "The file has no code there.",
}


def attach(program: KernelProgram, given: Mapping[str, object], links: bool = True, tracefs_only: bool = False) -> KernelLink:
    """Raises Error for a file, library or symbol that is not there, with similar symbols."""
    options = Options("uprobe", given, OPTIONS)
    named, _, where = program.spec.attach_to.rpartition(":")
    binary = options.text("binary", named)
    symbol = options.get("symbol") or where
    if not binary or not isinstance(symbol, str | int) or isinstance(symbol, bool) or symbol == "":
        raise options.wrong("needs the options 'binary' and 'symbol', as the program itself names none")
    from purebpf.binaries.files import find_binary

    path = find_binary(binary)
    probe = Probe("uprobe", path, offset_of(path, symbol), returning(program), f"{binary}:{symbol}")
    pid = options.number("pid", -1)
    return attach_probe(
        program,
        probe,
        os.getpid() if pid == 0 else pid,
        options.number("cookie", 0),
        links=links,
        tracefs_only=tracefs_only,
        reasons=REASONS,
    )


def offset_of(path: str, symbol: str | int) -> int:
    """The offset in the file of a symbol, as written in a decorator. Raises Error."""
    if isinstance(symbol, int):
        return symbol
    name, plus, distance = symbol.partition("+")
    try:
        behind = int(distance, 0) if plus else 0
        if name[:1].isdigit():
            return int(name, 0) + behind
    except ValueError:
        raise Error(f"{symbol!r} is no place in {path}: write a symbol, 'symbol+offset', or a number.") from None
    from purebpf.binaries.files import symbol_offset

    return symbol_offset(path, name) + behind
