"""libbpf as a judge of object files: what it finds in them, and the instructions that it makes of them for this kernel.

`libbpf_dump.c` does it, in a process of its own, compiled when it is needed (gcc, libbpf's headers: Debian's libbpf-dev).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.elf.corpus import Missing, folder

SOURCE = Path(__file__).with_name("libbpf_dump.c")
AT_ONCE = 4  # objects for one process
PROCESSES = 16  # side by side: they wait for the kernel, which makes and frees maps, most of the time


@dataclass(frozen=True, slots=True)
class Map:
    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    extra: int = 0
    inner: tuple[int, ...] = ()


@dataclass(slots=True)
class Program:
    """`slots` before functions are appended; `code` is hexadecimal, empty where libbpf did not come that far; `error` 0 where
    the kernel took it."""

    section: str
    type: int
    attach_type: int
    slots: int
    autoload: bool
    code: str = ""
    error: int = 0
    said: str = ""


@dataclass(slots=True)
class Judged:
    """`refused` is the error number where libbpf does not open the object."""

    maps: dict[str, Map] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    refused: int = 0
    said: str = ""


KNOWN: dict[tuple[str, str, bytes], Judged] = {}


@cache
def dumper() -> Path:
    """The compiled program. Raises Missing."""
    if not shutil.which("gcc") or not Path("/usr/include/bpf/libbpf.h").exists():
        raise Missing("gcc or libbpf's headers are not installed (Debian: gcc, libbpf-dev)")
    path = folder() / f"libbpf_dump-{SOURCE.stat().st_mtime_ns}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", "-O1", "-o", str(path), str(SOURCE), "-lbpf"], check=True)
    return path


def judged(paths: Iterable[Path], btf: Path | None = None) -> dict[Path, Judged]:
    """What libbpf says of objects, with CO-RE for the types of the kernel in a file, or the running one's. Raises Missing.

    It is asked once about the content of a file; only the file's name matters beside it.
    """
    target = hashlib.sha256(btf.read_bytes()).hexdigest() if btf else ""
    environment = os.environ | ({"TARGET_BTF": str(btf)} if btf else {})
    keys = {path: (target, path.name, hashlib.sha256(path.read_bytes()).digest()) for path in paths}
    wanted = list({key: path for path, key in keys.items() if key not in KNOWN}.values())
    dumper()
    with ThreadPoolExecutor(PROCESSES) as pool:
        parts = [wanted[at : at + AT_ONCE] for at in range(0, len(wanted), AT_ONCE)]
        for found in pool.map(lambda part: _judged(part, environment), parts):
            KNOWN.update({keys[path]: each for path, each in found.items()})
    return {path: KNOWN[key] for path, key in keys.items()}


def _judged(paths: list[Path], environment: dict[str, str]) -> dict[Path, Judged]:
    """What libbpf says of a few objects; one that it dies of is refused with the number of the signal, negative."""
    command = [str(dumper()), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600, env=environment)
    if done.returncode < 0:
        if len(paths) == 1:
            return {paths[0]: Judged(refused=done.returncode)}
        return {path: each for one in paths for path, each in _judged([one], environment).items()}
    done.check_returncode()
    return _parsed(done.stdout)


def _parsed(text: str) -> dict[Path, Judged]:
    found: dict[Path, Judged] = {}
    said: list[str] = []
    for line in text.splitlines():
        what, *words = line.split("\t")
        if what == "says":
            said.append(words[0])
            continue
        if what == "object":
            here = found[Path(words[0])] = Judged(said=" ".join(said))
        elif what == "refused":
            here.refused = int(words[0])
        elif what == "map":
            *numbers, inner = words[1:]
            here.maps[words[0]] = Map(*map(int, numbers), inner=tuple(map(int, inner.split("/"))) if inner != "-" else ())
        elif what == "program":
            type, attach, slots, autoload = map(int, words[2:])
            here.programs[words[0]] = Program(words[1], type, attach, slots, bool(autoload))
        elif what == "relocated":
            here.programs[words[0]].code = words[1]
        else:
            assert what == "loaded", line
            program = here.programs[words[0]]
            program.error, program.said = int(words[1]), " ".join(said)
        said.clear()
    return found
