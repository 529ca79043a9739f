"""`purebpf gen`: the same files each time, `--check`, dependencies, several sources, types for type checkers, packed specs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from purebpf.cli.gen import gen
from purebpf.cli.main import main
from purebpf.data import replace
from purebpf.elf.writing.write import write_object
from purebpf.errors import Error
from purebpf.packaging.package import package
from purebpf.packaging.settings import Settings
from purebpf.packaging.sources import read_source
from purebpf.packed import dumps, loads
from purebpf.tables.enums import ProgramType
from tests.checker import checked
from tests.packaging.generated import generate, imported, source

EXAMPLES = Path(__file__).parents[2] / "examples"
COUNTER = EXAMPLES / "packet_count.py"
CHECKED = """
from generated import PacketCount, Traffic

with PacketCount() as counter:
    counter.load("vm").attach(count="eth0")
    packets: int = counter.maps.traffic.sums()[6].packets
    entry = Traffic(packets=1)
    name: str = counter.programs.count.name
    wrong: str = entry.octets
    counter.maps.nothing
    Traffic(packts=1)
"""


def run(*words: object, code: int = 0) -> str:
    """What the command prints. Errors of purebpf are raised."""
    done = CliRunner().invoke(gen, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_program_of_no_type_is_told(tmp_path: Path) -> None:
    program = read_source(COUNTER).spec.programs["count"]
    unknown = replace(program, name="oops", type=ProgramType.UNSPEC, attach_type=None, section="xpd")
    spec = replace(read_source(COUNTER).spec, programs={"count": program, "oops": unknown})
    write_object(spec, tmp_path / "x.o")
    told = run(tmp_path / "x.o", "-o", tmp_path / "made")
    assert "warning: x.o: The program 'oops' is in the section 'xpd'" in told and "Is 'xdp' meant?" in told
    with imported(tmp_path / "made") as module, pytest.raises(Error, match="Is 'xdp' meant"):
        module.X().load("vm")


def test_equal_sources_make_equal_packages(tmp_path: Path) -> None:
    run(COUNTER, "-o", tmp_path / "first")
    command = [sys.executable, "-m", "purebpf", "gen", COUNTER, "-o", tmp_path / "second"]
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert files(tmp_path / "first") == files(tmp_path / "second")
    assert sorted(files(tmp_path / "first")) == ["__init__.py", "__init__.pyi", "packet_count.bpf", "py.typed"]
    assert str(tmp_path).encode() not in b"".join(files(tmp_path / "first").values())


def test_a_module_that_somebody_wrote_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "__init__.py").write_text("x = 1\n")
    with pytest.raises(Error, match=r"__init__\.py was not written by `purebpf gen` and is left alone"):
        run(COUNTER, "-o", folder)
    assert [(each.name, each.read_text()) for each in folder.iterdir()] == [("__init__.py", "x = 1\n")]
    (folder / "__init__.py").unlink()
    run(COUNTER, "-o", folder)
    run(COUNTER, "-o", folder)  # its own it writes again


def test_check_tells_what_would_change(tmp_path: Path) -> None:
    counter = source(tmp_path, COUNTER.read_text(), "packet_count.py")
    made = tmp_path / "made"
    assert "missing" in run(counter, "-o", made, "--check", code=1)
    assert not made.exists()
    run(counter, "-o", made)
    assert run(counter, "-o", made, "--check") == ""
    counter.write_text(COUNTER.read_text().replace("octets", "bytes_"))
    shown = run(counter, "-o", made, "--check", code=1)
    assert '-    ("octets", _s.u64, 8),' in shown and '+    ("bytes_", _s.u64, 8),' in shown
    assert "packet_count.bpf: " in shown and "with digest" in shown
    run(counter, "-o", made)
    (made / "old.bpf").write_bytes(b"")
    assert "left over" in run(counter, "-o", made, "--check", code=1)
    run(counter, "-o", made)
    assert not (made / "old.bpf").exists()


def test_the_rule_for_make_names_what_a_source_imports(tmp_path: Path) -> None:
    source(tmp_path, "LIMIT = 64\n", "limits_of_it.py")
    using = source(
        tmp_path, SHORT.replace("64", "LIMIT").replace("import purebpf", "from limits_of_it import LIMIT\nimport purebpf")
    )
    run(using, "-o", tmp_path / "made", "--depfile", tmp_path / "made.d")
    first, *others = (tmp_path / "made.d").read_text().split("\n\n")
    assert first.startswith(f"{tmp_path / 'made' / '__init__.py'}: ")
    assert set(first.split(": ")[1].split()) == {str(using), str(tmp_path / "limits_of_it.py")}
    assert len(others) == 2


SHORT = """
import purebpf as bpf


@bpf.xdp
def short(ctx: bpf.XdpContext) -> bpf.XdpAction:
    return bpf.XDP_PASS if len(ctx.packet) > 64 else bpf.XDP_DROP
"""


def test_sources_share_a_package(tmp_path: Path) -> None:
    made = generate(tmp_path, COUNTER, EXAMPLES / "tail_calls.py", source(tmp_path, SHORT, "my-own.short.py"), names=("Count",))
    with imported(made) as module:
        assert module.__all__ == ["Count", "MyOwn", "TailCalls", "Traffic"]
        with module.MyOwn() as short:
            short.load("vm")
            assert [short.programs.short.run(packet=bytes(size)).value for size in (64, 65)] == [1, 2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings((COUNTER, COUNTER)), "two sources would be the class 'PacketCount'"),
        (Settings((COUNTER, COUNTER), names=("A", "B")), "two sources would be the file 'packet_count'"),
        (Settings((COUNTER,), names=("not a name",)), "'not a name' is no name for a class"),
        (Settings((COUNTER,), names=("A", "B")), "there are 2 names for 1 sources"),
        (Settings((COUNTER,), types=("nothing",)), "packet_count.py has no struct, union or enum 'nothing'"),
        (
            Settings((COUNTER,), types=("traffic=Traffic",)),
            "packet_count.py has no map 'traffic' whose records could be `Traffic`",
        ),
        (Settings((COUNTER,), kernel="new"), "new"),
    ],
)
def test_what_makes_no_package_is_an_error(settings: Settings, message: str) -> None:
    with pytest.raises(Error) as caught:
        package(settings.read())
    assert message in str(caught.value)


def test_a_program_that_replaces_a_part_of_another_stays_in_python(tmp_path: Path) -> None:
    with pytest.raises(Error, match="`better` replaces or traces a part of `main`"):
        read_source(source(tmp_path, REPLACING))


REPLACING = """
import purebpf as bpf
from purebpf import u32


@bpf.global_subprogram
def part(n: u32) -> u32:
    return n + 1


@bpf.xdp
def main(ctx: bpf.XdpContext) -> bpf.XdpAction:
    return part(1)


@bpf.freplace(main, "part")
def better(n: u32) -> u32:
    return n + 2
"""


@pytest.mark.parametrize("name", ["packet_count", "tail_calls", "opensnoop", "whoami", "biolatency", "profile"])
def test_packed_specs_are_the_same_again(name: str) -> None:
    spec = read_source(EXAMPLES / f"{name}.py").spec
    packed = dumps(spec)
    again = loads(packed)
    assert again == spec
    assert dumps(again) == packed
    lines = [instruction.source for program in spec.programs.values() for instruction in program.instructions]
    read = [instruction.source for program in again.programs.values() for instruction in program.instructions]
    assert [line and line.line for line in lines] == [line and line.line for line in read]


@pytest.mark.parametrize("damage", [b"", b"purebpf\x01", b"purebpf\x02", b"{}"])
def test_other_bytes_are_no_packed_spec(damage: bytes) -> None:
    with pytest.raises(Error):
        loads(damage)


def test_a_package_takes_its_own_programs_only(tmp_path: Path) -> None:
    made = generate(tmp_path, COUNTER)
    with imported(made) as module:
        module.PacketCount()
        content = made / "packet_count.bpf"
        content.write_bytes(content.read_bytes() + b" ")
        with pytest.raises(Error, match="is not the file that"):
            module.PacketCount()
        content.unlink()
        with pytest.raises(Error, match="cannot be read"):
            module.PacketCount()


def test_type_checkers_know_what_is_in_a_package(tmp_path: Path) -> None:
    generate(tmp_path, COUNTER, name="generated")
    using = source(tmp_path, CHECKED, "using.py")
    done = checked(using, folder=tmp_path)
    found = [line.split(": ", 2)[2] for line in done.stdout.splitlines() if ": error: " in line]
    assert len(found) == 3, done.stdout
    assert 'expression has type "int", variable has type "str"' in found[0]
    assert 'has no attribute "nothing"' in found[1]
    assert 'Unexpected keyword argument "packts"' in found[2]


def test_the_command_tells_errors_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["purebpf", "gen", str(COUNTER), "-o", str(tmp_path), "--type", "nothing"])
    with pytest.raises(SystemExit):
        main()
    assert "no struct, union or enum 'nothing'" in capsys.readouterr().err
