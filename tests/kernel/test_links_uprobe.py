"""Programs on functions of processes. They probe a file that the test made, or this process alone."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from struct import pack

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.binaries.files import MAGIC, cached, find_binary, symbol_offset
from purebpf.errors import Error, KernelError
from purebpf.isa.asm import R0, Exit, Label, Mov, assemble
from purebpf.kernel import tracefs
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.link import probes, uprobe, uprobe_multi
from purebpf.kernel.map import KernelMap
from purebpf.kernel.program import KernelProgram
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import LinkType, ProgramType
from tests.kernel.programs import COUNTS, any_event_counter, count, integer, needs, only_this_thread, u32

pytestmark = pytest.mark.kernel
LIBC = "libc.so.6"
libc = ctypes.CDLL(LIBC)
ARM = os.uname().machine == "aarch64"


@pytest.fixture
def counts(kernel: KernelEngine) -> Iterator[KernelMap]:
    with kernel.create_map(COUNTS) as map:
        yield map


@pytest.fixture
def mounted() -> str:
    try:
        return tracefs.folder()
    except Error as error:
        pytest.skip(str(error))


def counted(map: KernelMap) -> int:
    return integer(map.lookup(u32(0)))


def counter(section: str) -> ProgramSpec:
    code = assemble((*only_this_thread(), *count(), Label("out"), Mov.imm(R0, 0), Exit()))
    return ProgramSpec("probe_counter", ProgramType.KPROBE, code, section=section, attach_to=section.partition("/")[2])


def loaded(kernel: KernelEngine, spec: ProgramSpec, counts: KernelMap) -> KernelProgram:
    return kernel.load_program(spec, {"counts": counts})


@pytest.mark.parametrize("section", ["uprobe", "uretprobe"])
@pytest.mark.parametrize("by_tracefs", [False, True], ids=["pmu", "tracefs"])
@pytest.mark.parametrize("links", [True, False], ids=["link", "ioctl"])
def test_calls_of_this_thread_are_counted_until_closed(
    kernel: KernelEngine, counts: KernelMap, mounted: str, section: str, by_tracefs: bool, links: bool
) -> None:
    with loaded(kernel, counter(f"{section}/{LIBC}:labs"), counts) as program:
        link = uprobe.attach(program, {"pid": 0}, links, by_tracefs)
        way = "perf event link" if links and kernel_version() >= (5, 15) else "perf event, ioctl"
        assert link.mechanism == f"uprobe{' by tracefs' if by_tracefs else ''}, {way}"
        if way.endswith("link"):
            assert link.info.type == LinkType.PERF_EVENT
        for number in range(5):
            libc.labs(-number)
        link.close()
        link.close()
        libc.labs(1)
        assert counted(counts) == 5
    assert f"purebpf_{os.getpid()}/" not in Path(f"{mounted}/uprobe_events").read_text()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of a command that nobody else runs."""
    return Path(shutil.copy(find_binary("true"), tmp_path / "true"))


def test_every_process_that_runs_a_file_is_probed(kernel: KernelEngine, counts: KernelMap, copy: Path) -> None:
    entry = entry_point(copy)
    spec = any_event_counter(ProgramType.KPROBE)
    with kernel.load_program(spec, {"counts": counts}) as program:
        with uprobe.attach(program, {"binary": str(copy), "symbol": entry}):
            for _ in range(3):
                subprocess.run([copy], check=True)
        subprocess.run([copy], check=True)
        assert counted(counts) == 3


def entry_point(path: Path) -> int:
    """The offset in the file of a program's first instruction."""
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        elf = ELFFile(file)
        address = elf.header["e_entry"]
        segment = next(s for s in elf.iter_segments("PT_LOAD") if s["p_flags"] & 1 and s["p_vaddr"] <= address)
        return int(address - segment["p_vaddr"] + segment["p_offset"])


def test_another_process_is_left_alone(kernel: KernelEngine, counts: KernelMap, copy: Path) -> None:
    with kernel.load_program(any_event_counter(ProgramType.KPROBE), {"counts": counts}) as program:
        with uprobe.attach(program, {"binary": str(copy), "symbol": entry_point(copy), "pid": 0}):
            subprocess.run([copy], check=True)
        assert counted(counts) == 0


many = bpf.Array[u64](max_entries=2)
seen = bpf.Array[u64](max_entries=3)
own = os.getpid()


@bpf.uprobe(LIBC, "labs")
def entered(ctx: bpf.ProbeContext) -> None:
    if bpf.current.tgid == own:
        seen[0] += 1


@bpf.uretprobe(LIBC, "labs")
def returned(ctx: bpf.ProbeContext) -> None:
    if bpf.current.tgid == own:
        seen[1] += 1


def test_decorated_probes_are_attached() -> None:
    with bpf.load(entered, returned):
        with entered.attach(pid=0) as start, returned.attach(pid=0) as end:
            libc.labs(-3)
            libc.labs(3)
            assert (seen[0], seen[1]) == (2, 2)
            assert {start.mechanism.partition(",")[0], end.mechanism.partition(",")[0]} == {"uprobe"}
        libc.labs(3)
        assert (seen[0], seen[1]) == (2, 2)


def test_registers_are_read() -> None:
    libc.labs.restype = ctypes.c_long
    if ARM:

        @bpf.uretprobe(LIBC, "labs")
        def result(ctx: bpf.ProbeContext) -> None:
            if bpf.current.tgid == own:
                seen[2] = ctx.regs[0]
    else:

        @bpf.uretprobe(LIBC, "labs")
        def result(ctx: bpf.ProbeContext) -> None:
            if bpf.current.tgid == own:
                seen[2] = ctx.ax

    with result.attach(pid=0):
        assert libc.labs(-77) == 77
        assert seen[2] == 77


@needs((5, 15), "cookies of uprobes")
def test_uprobes_see_their_cookie() -> None:
    @bpf.uprobe(LIBC, "labs")
    def keeper(ctx: bpf.ProbeContext) -> None:
        if bpf.current.tgid == own:
            seen[2] = bpf.helpers.get_attach_cookie(ctx)

    with keeper.attach(pid=0, cookie=0x1234):
        libc.labs(1)
        assert seen[2] == 0x1234


def many_uprobes(number: int) -> str:
    if kernel_version() >= uprobe_multi.FIRST:
        return f"uprobe multi link, {number} functions"
    return f"{number} uprobes, perf event{' link' if kernel_version() >= (5, 15) else ', ioctl'}"


def test_a_pattern_probes_all_functions_that_it_fits() -> None:
    """labs and llabs of glibc may be one function with two names, which is probed once."""
    places = {symbol_offset(find_binary(LIBC), name) for name in ("labs", "llabs")}

    @bpf.uprobe(LIBC, "l*abs")
    def start(ctx: bpf.ProbeContext) -> None:
        if bpf.current.tgid == own:
            many[0] += 1

    @bpf.uretprobe(LIBC, "l*abs")
    def end(ctx: bpf.ProbeContext) -> None:
        if bpf.current.tgid == own:
            many[1] += 1

    with bpf.load(start, end):
        with start.attach(pid=0) as first, end.attach(pid=0) as second:
            assert first.mechanism == second.mechanism == many_uprobes(len(places))
            libc.labs(-3)
            libc.llabs(-3)
            libc.abs(-3)
            assert (many[0], many[1]) == (2, 2)
        libc.labs(3)
        assert (many[0], many[1]) == (2, 2)
        with pytest.raises(Error, match=r"libc.so.6 has no function that fits the pattern 'no_such\*'"):
            start.attach(symbol="no_such*")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"symbol": "lab"}, "libc.so.6 has no function 'lab'; did you mean labs"),
        ({"symbol": "labs+x"}, r"'labs\+x' is no place in .*libc"),
        ({"symbol": "0xg"}, "'0xg' is no place in .*libc"),
        ({"binary": "libnone.so.9"}, "There is no library or command 'libnone.so.9'"),
        ({"binary": "/no/such/file"}, "There is no file /no/such/file to probe"),
        ({"binary": __file__}, "cannot be read as an ELF file"),
        ({"symbol": 3.5}, "needs the options 'binary' and 'symbol'"),
        ({"function": "labs"}, r"has no option 'function'\. Its options are:\n  binary"),
        ({"symbl": "labs"}, r"has no option 'symbl' \(did you mean 'symbol'\?\)\."),
    ],
)
def test_wrong_places_are_told(kernel: KernelEngine, counts: KernelMap, options: dict[str, object], said: str) -> None:
    with loaded(kernel, counter(f"uprobe/{LIBC}:labs"), counts) as program, pytest.raises(Error, match=said):
        kernel.attach(program, options)


def test_a_place_without_code_is_refused(kernel: KernelEngine, counts: KernelMap, copy: Path) -> None:
    with loaded(kernel, counter("uprobe"), counts) as program, pytest.raises(KernelError) as caught:
        kernel.attach(program, {"binary": str(copy), "symbol": 1 << 40})
    assert caught.value.errno in (errno.EINVAL, errno.EIO, errno.ENOEXEC)
    assert "the uprobe" in str(caught.value)


def test_libraries_are_found_as_the_loader_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith("libc.so.6")}
    assert find_binary(LIBC) in {os.path.realpath(path) for path in mapped}
    (tmp_path / "libmine.so.1").write_bytes(b"")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert find_binary("libmine.so.1") == str((tmp_path / "libmine.so.1").resolve())


@pytest.mark.parametrize("before", [b"", b"ld.so-1.7.0\0" + bytes(52)])
def test_the_cache_of_the_loader_is_read(before: bytes) -> None:
    rows = [
        (0x0003, "libx.so.1", "/old/libx.so.1"),
        (0x0303, "libx.so.1", "/a/libx.so.1"),
        (0x0A03, "libx.so.1", "/arm/libx.so.1"),
    ]
    texts, entries = b"", b""
    start = 48 + 24 * len(rows)
    for flags, key, value in rows:
        entries += pack("=iIIIQ", flags, start + len(texts), start + len(texts) + len(key) + 1, 0, 0)
        texts += key.encode() + b"\0" + value.encode() + b"\0"
    data = before + MAGIC + pack("=II", len(rows), len(texts)) + bytes(20) + entries + texts
    assert list(cached(data, "libx.so.1", "x86_64")) == ["/a/libx.so.1"]
    assert list(cached(data, "libx.so.1", "aarch64")) == ["/arm/libx.so.1"]
    assert list(cached(data, "libx.so", "x86_64")) == ["/a/libx.so.1"]
    assert list(cached(data, "liby.so", "x86_64")) == []
    assert list(cached(b"", "libx.so.1", "x86_64")) == []


def test_offsets_of_symbols_are_where_their_code_is() -> None:
    path = find_binary(LIBC)
    offset = symbol_offset(path, "labs")
    code = Path(path).read_bytes()[offset : offset + 8]
    address = ctypes.cast(libc.labs, ctypes.c_void_p).value
    assert address is not None and ctypes.string_at(address, 8) == code


def test_the_pmu_tells_its_bit() -> None:
    assert os.path.exists(f"{probes.PMUS}/uprobe/type") or kernel_version() < (4, 17)
