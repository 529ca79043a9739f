"""C sources as objects, compiled when a test runs (clang-19), and objects linked by ours and by libbpf's linker (bpftool)."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from os import getpid
from pathlib import Path

import pytest

from bench.size import clang
from purebpf import link_objects
from purebpf.btf.reader import Btf
from purebpf.btf.types import DataSec, Func, Type, Var
from purebpf.elf import container, ext
from purebpf.elf.container import ElfObject, Symbol
from tests.elf import corpus

HEAD = """
typedef unsigned int __u32;
typedef unsigned long long __u64;
#define SEC(name) __attribute__((section(name), used))
#define __noinline __attribute__((noinline))
#define __weak __attribute__((weak))
#define __hidden __attribute__((visibility("hidden")))
#define __ksym SEC(".ksyms")
#define __kconfig SEC(".kconfig")
#define __tag(text) __attribute__((btf_decl_tag(text)))
#define __core __attribute__((preserve_access_index))
#define __uint(name, value) int (*name)[value]
#define __type(name, type) typeof(type) *name
#define __array(name, type) typeof(type) *name[]
enum { HASH = 1, ARRAY = 2, PROG_ARRAY = 3, ARRAY_OF_MAPS = 12 };
struct __sk_buff { __u32 len; __u32 pkt_type; __u32 mark; };
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_for_each_map_elem)(void *map, void *callback, void *context, __u64 flags) = (void *)164;
"""
WARNINGS = ("-Wno-visibility", "-Wno-ignored-attributes")
LICENSE = 'char _license[] SEC("license") = "GPL";\n'
needs_clang = pytest.mark.skipif(not clang.available(), reason=f"{clang.CLANG} is not installed")
BPFTOOL = shutil.which("bpftool") or shutil.which("bpftool", path="/usr/sbin") or ""
needs_bpftool = pytest.mark.skipif(not BPFTOOL, reason="bpftool is not installed")


def compiled(text: str, folder: Path, name: str, *, debug: bool = True, target: str = "bpf") -> Path:
    """A source as the object `name`.o; sources that were compiled before are taken from the cache."""
    flags = [*clang.FLAGS, *WARNINGS, *(["-g"] if debug else []), "-target", target, "-mcpu=v3"]
    made_of = hashlib.sha256(f"{clang.version()}{flags}{name}{HEAD}{text}".encode()).hexdigest()[:24]
    base = corpus.folder()
    kept, path = base / f"{made_of}.o", folder / f"{name}.o"
    if not kept.exists():
        base.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(f".{getpid()}")
        (folder / f"{name}.c").write_text(HEAD + text)
        subprocess.run([clang.CLANG, *flags, "-c", f"{name}.c", "-o", str(new)], cwd=folder, check=True)
        new.replace(kept)
    shutil.copy(kept, path)
    return path


def linked(folder: Path, *texts: str) -> Path:
    """Sources, as a.o, b.o ..., linked by ours."""
    path = folder / "ours.o"
    path.write_bytes(link_objects(objects(folder, *texts)))
    return path


def objects(folder: Path, *texts: str) -> list[Path]:
    return [compiled(text, folder, name) for name, text in zip("abcdefgh", texts, strict=False)]


def by_bpftool(folder: Path, paths: list[Path]) -> Path:
    """The objects linked by libbpf's linker."""
    path = folder / "theirs" / "ours.o"  # maps have the file's name in theirs
    path.parent.mkdir(exist_ok=True)
    subprocess.run([BPFTOOL, "gen", "object", str(path), *map(str, paths)], check=True, capture_output=True)
    return path


class Seen:
    """What is in an object file."""

    def __init__(self, path: Path) -> None:
        self.elf: ElfObject = container.read(path.read_bytes())
        self.btf = Btf(self.content(".BTF"))
        self.ext = ext.read(self.content(".BTF.ext"), self.btf) if self.elf.section(".BTF.ext") is not None else ext.Ext()

    def content(self, section: str) -> bytes:
        place = self.elf.section(section)
        assert place is not None, section
        return self.elf.sections[place].data

    def symbol(self, name: str) -> Symbol:
        (found,) = [symbol for symbol in self.elf.symbols if symbol.name == name]
        return found

    def place(self, name: str) -> tuple[str, int]:
        """The section that a symbol is in, and the byte there."""
        symbol = self.symbol(name)
        return self.elf.sections[symbol.section].name, symbol.value

    def variables(self, section: str) -> list[tuple[str, int, int]]:
        """What BTF says is in a data section: name, byte, size."""
        (found,) = [type for _, type in self.btf if isinstance(type, DataSec) and type.name == section]
        return [(self.btf.name(row.type), row.offset, row.size) for row in found.variables]

    def typed(self, name: str) -> list[Type]:
        """The functions and variables of a name."""
        return [type for _, type in self.btf if isinstance(type, Func | Var) and type.name == name]

    def named(self, name: str) -> list[Type]:
        """The types of a name."""
        return [type for _, type in self.btf if getattr(type, "name", "") == name]
