"""BTF in files: raw, in ELF, split; the kernel's own, with its index kept in the user's cache."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from purebpf.btf import cache, running
from purebpf.btf.builder import BtfBuilder
from purebpf.btf.encode import words_of
from purebpf.btf.files import open_btf
from purebpf.btf.header import Index
from purebpf.btf.names import ENOUGH
from purebpf.btf.reader import Btf, BtfError
from purebpf.btf.running import build_id, kernel_btf, module_btf, own_btf
from purebpf.btf.types import Kind, Ptr, Struct, Typedef
from purebpf.errors import Error, Unsupported
from tests.btf.elf import elf_file
from tests.btf.graphs import task_btf
from tests.btf.make import everything

RAW = everything("little").bytes()


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of its own; the folder that index files are in."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache.folder()


@pytest.fixture(scope="module")
def vmlinux() -> Btf:
    try:
        return kernel_btf()
    except Unsupported as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("extended", [False, True])
def test_elf_files_are_opened(bits: int, order: str, extended: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.o"
    path.write_bytes(elf_file({".text": b"12345", ".BTF.ext": b"no", ".BTF": RAW}, bits=bits, order=order, extended=extended))
    assert list(open_btf(path)) == list(Btf(RAW))


def test_raw_files_are_opened(tmp_path: Path) -> None:
    (tmp_path / "x.btf").write_bytes(RAW)
    assert open_btf(tmp_path / "x.btf").find("choice", Kind.ENUM) == 6


def split(base: Btf) -> bytes:
    builder = BtfBuilder("little", base=base)
    builder.add(Ptr(builder.add(Typedef("own", 4))))
    return builder.encode()


def test_split_file_needs_its_base_or_brings_it(tmp_path: Path) -> None:
    base, path = Btf(RAW), tmp_path / "m.ko"
    path.write_bytes(elf_file({".BTF": split(base)}))
    assert open_btf(path, base=base).type(21) == Ptr(20)
    with pytest.raises(BtfError, match="begin with the empty string"):
        open_btf(path)
    path.write_bytes(elf_file({".BTF": split(base), ".BTF.base": RAW}))
    assert open_btf(path).find("own") == 20


def test_base_of_another_byte_order_is_refused() -> None:
    base = Btf(RAW)
    with pytest.raises(BtfError, match="the bytes are big-endian, but those of its base are not"):
        Btf(everything("big").bytes(), base=base)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (elf_file({".text": b"x"}), "has no section .BTF"),
        (elf_file({".BTF": RAW}, flags=0x800), "compressed"),
        (b"\x7fELF", "cut off"),
        (b"\x7fELF\x03\x01" + bytes(60), "damaged"),
        (b"\x7fELF\x02\x01" + bytes(58), "has no sections"),
        (elf_file({".BTF": RAW})[:-70], "section table lies outside"),
        (b"", "0 bytes are no BTF"),
    ],
)
def test_damaged_file_is_told(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BtfError, match=said):
        open_btf(tmp_path / "x")


def test_damaged_elf_files_never_crash(tmp_path: Path) -> None:
    from purebpf.btf.elf import elf_sections

    chance, whole = random.Random(3), elf_file({".text": b"12345", ".BTF": RAW[:100]})
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            data[chance.choice((chance.randrange(64), chance.randrange(len(data))))] = chance.choice(
                (0, 1, 255, chance.randrange(256))
            )
        try:
            elf_sections(memoryview(data), (".BTF",), "x")
        except BtfError:
            continue


def test_index_is_kept_and_used(private: Path) -> None:
    btf, _ = task_btf()
    cache.save("k", len(btf.raw), btf.index)
    index = cache.load("k", len(btf.raw))
    assert index is not None
    assert list(index.places) == list(btf.index.places) and list(index.names) == list(btf.index.names)
    assert list(Btf(btf.raw, index=index)) == list(btf)
    assert oct((private / "k.2.index").stat().st_mode)[-3:] == "600" and oct(private.stat().st_mode)[-3:] == "700"
    assert [path.name for path in private.iterdir()] == ["k.2.index"]


def test_sorted_names_are_made_when_many_are_asked_for_and_find_the_same(private: Path) -> None:
    plain = Btf(RAW)
    names = sorted({plain.name(number) for number in range(1, len(plain))} - {""})
    cache.save("k", len(RAW), plain.index)
    asked = Btf(RAW, index=cache.load("k", len(RAW)))
    asked.keep_names(lambda index: cache.save("k", len(RAW), index))
    assert not any(asked.types_named(f"missing{n}") for n in range(ENOUGH))
    first = {name: asked.types_named(name) for name in names}
    index = cache.load("k", len(RAW))
    assert index is not None and len(index.sums) == len(index.sorted) >= len(names)
    again = Btf(RAW, index=index)
    again.keep_names(lambda index: pytest.fail("they are sorted already"))
    for found in (first, {name: again.types_named(name) for name in names}):
        assert found == {name: plain.types_named(name) for name in names}
    for name in ("no such name", names[0][1:] + "?", ""):
        assert not again.types_named(name)


def test_index_of_other_bytes_is_not_used(private: Path) -> None:
    cache.save("k", 100, Index([0], [1]))
    assert cache.load("k", 101) is None
    assert cache.load("other", 100) is None


@pytest.mark.parametrize("at", [0, 25, 30, 38, 41, 45, -1])
def test_damaged_index_is_not_used(at: int, private: Path) -> None:
    cache.save("k", 100, Index([0, 4], [1, 5]))
    path = private / "k.2.index"
    data = bytearray(path.read_bytes())
    data[at] ^= 0x55
    path.write_bytes(data)
    assert cache.load("k", 100) is None
    path.write_bytes(path.read_bytes()[:20])
    assert cache.load("k", 100) is None


def test_index_that_others_can_write_is_not_used(private: Path) -> None:
    cache.save("k", 100, Index([0], [1]))
    (private / "k.2.index").chmod(0o666)
    assert cache.load("k", 100) is None
    (private / "k.2.index").chmod(0o600)
    private.chmod(0o777)
    assert cache.load("k", 100) is None
    cache.save("new", 100, Index([0], [1]))
    private.chmod(0o700)
    assert cache.load("new", 100) is None
    assert cache.load("k", 100) is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_index_of_somebody_else_is_not_used(private: Path) -> None:
    cache.save("k", 100, Index([0], [1]))
    os.chown(private / "k.2.index", 12345, 0)
    assert cache.load("k", 100) is None


def test_link_is_not_followed(private: Path) -> None:
    cache.save("k", 100, Index([0], [1]))
    (private / "l.2.index").symlink_to(private / "k.2.index")
    assert cache.load("l", 100) is None


def test_cache_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    cache.save("k", 100, Index([0], [1]))
    assert cache.load("k", 100) is None


def test_kernel_is_indexed_once(vmlinux: Btf, private: Path) -> None:
    if not build_id():
        pytest.skip("this kernel tells no build ID")
    own_btf.cache_clear()
    try:
        first = kernel_btf()
        assert [path.name for path in private.iterdir()] == [f"{build_id()}.2.index"]
        own_btf.cache_clear()
        second = kernel_btf()
        assert list(second.index.places) == list(first.index.places) == list(vmlinux.index.places)
        assert second.type(second.find("task_struct", Kind.STRUCT)) == vmlinux.type(vmlinux.find("task_struct", Kind.STRUCT))
    finally:
        own_btf.cache_clear()


def test_kernel_of_a_file_is_taken_where_there_is_no_sysfs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    release = os.uname().release
    (tmp_path / f"vmlinux-{release}").write_bytes(elf_file({".BTF": RAW}))
    monkeypatch.setattr(running, "VMLINUX", tmp_path / "none")
    monkeypatch.setattr(running, "PLACES", (str(tmp_path / "other-{}"), str(tmp_path / "vmlinux-{}")))
    own_btf.cache_clear()
    try:
        assert kernel_btf().find("choice", Kind.ENUM) == 6
    finally:
        own_btf.cache_clear()


def test_modules_build_on_the_kernel(vmlinux: Btf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "some_module").write_bytes(split(vmlinux))
    monkeypatch.setattr(running, "FOLDER", tmp_path)
    module = module_btf("some-module")
    assert module.find("own") == len(vmlinux) and module.base is not None
    with pytest.raises(Error, match="no BTF of a module 'other'; it has some_module"):
        module_btf("other")
    for name in ("../x", "", "..", "a/b"):
        with pytest.raises(Error, match="is no name of a kernel module"):
            module_btf(name)
    assert module_btf("vmlinux") is kernel_btf()


def test_whole_kernel_is_written_and_read_again(vmlinux: Btf) -> None:
    builder = BtfBuilder(vmlinux.byteorder)
    for _, type in vmlinux:
        builder.define(builder.reserve(), type)
    again = Btf(builder.encode())
    assert len(again) == len(vmlinux)
    assert all(mine == theirs for mine, theirs in zip(vmlinux, again, strict=True))


def test_task_struct_is_found_quickly_and_in_little_memory(vmlinux: Btf, tmp_path: Path) -> None:
    """CPU time and memory of a process of its own: without an index that was kept, and with it."""
    code = (
        "import resource as r, purebpf.btf.running as b, purebpf.btf.types as t\n"
        "def used(): u = r.getrusage(r.RUSAGE_SELF); return u.ru_utime + u.ru_stime, u.ru_maxrss\n"
        "time, memory = used()\n"
        "k = b.kernel_btf()\n"
        "m = [(m.name, m.type, m.bit_offset) for m in k.type(k.find('task_struct', t.Kind.STRUCT)).members]\n"
        "end, most = used()\n"
        "print(len(m), end - time, most - memory)\n"
    )
    for seconds in (0.1, 0.05):
        said = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        assert int(said[0]) > 100
        assert float(said[1]) < seconds and int(said[2]) < 60 << 10


def test_words_of_void_are_none() -> None:
    from purebpf.btf.types import Void

    with pytest.raises(BtfError, match="void has the number 0"):
        words_of(Void(), lambda name: 0)
    assert isinstance(task_btf()[0].type(1), Struct)
