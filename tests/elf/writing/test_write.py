"""What is in the object files that purebpf writes, and what it refuses to write."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf.btf.builder import BtfBuilder
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.btf.types import DataSec, Func, FuncProto, Int, Kind, Linkage, Var
from purebpf.cli.files import programs_of
from purebpf.data import replace
from purebpf.elf import ext
from purebpf.elf.container import FUNCTION, GLOBAL, LOCAL, UNDEFINED, WEAK, ElfObject, read
from purebpf.elf.writing.write import object_bytes, object_of
from purebpf.errors import Error, Unsupported
from purebpf.isa import asm
from purebpf.isa.codec import encode
from purebpf.isa.instruction import Instruction
from purebpf.kernel.linked import without_descriptors
from purebpf.program import spec_of
from purebpf.spec import CollectionSpec, ExternKind, FunctionSpec, MapSpec, MapTypes, ProgramSpec, VariableSpec
from purebpf.tables.enums import AttachType, MapType, ProgramType
from tests.elf import corpus, libbpf
from tests.elf.writing import programs as own
from tests.elf.writing.memory import in_sections

ROOT = Path(__file__).parents[3]
RETURN = (asm.Mov.imm(0, 0), asm.Exit())


@cache
def everything() -> CollectionSpec:
    return spec_of(own.count, own.again, own.told, own.called, own.called_back, own.nested)


def parts(spec: CollectionSpec) -> tuple[ElfObject, Btf, ext.Ext]:
    elf = read(object_bytes(spec))
    content = {section.name: section.data for section in elf.sections}
    btf = Btf(content[".BTF"])
    return elf, btf, ext.read(content[".BTF.ext"], btf)


def small(name: str = "small", **changes: object) -> ProgramSpec:
    return replace(ProgramSpec(name, ProgramType.XDP, RETURN, section="xdp"), **changes)


def alone(program: ProgramSpec, *maps: MapSpec) -> CollectionSpec:
    return CollectionSpec({program.name: program}, {each.name: each for each in maps})


def array(name: str, **changes: object) -> MapSpec:
    return replace(MapSpec(name, MapType.ARRAY, 4, 8, 1), **changes)


def test_sections_are_as_c_programs_have_them() -> None:
    elf, _, _ = parts(everything())
    assert [section.name for section in elf.sections] == [
        ".text",
        "xdp",
        "tracepoint/syscalls/sys_enter_getpgid",
        "tc",
        "license",
        ".maps",
        ".bss",
        ".rodata",
        ".data",
        ".BTF",
        ".BTF.ext",
    ]
    assert elf.sections[elf.section("license") or 0].data == b"GPL\0"


def test_subprograms_are_written_once() -> None:
    elf, btf, told = parts(everything())
    functions = {symbol.name: symbol for symbol in elf.symbols if symbol.kind == FUNCTION}
    text = [name for name, symbol in functions.items() if symbol.section == elf.section(".text")]
    assert sorted(text) == ["add", "clamp", "mixed", "twice"]
    assert functions["clamp"].binding == GLOBAL and functions["mixed"].binding == LOCAL  # one is verified by itself
    linkage = {btf.name(each.type): btf.type(each.type).linkage for each in told.functions[".text"]}  # type: ignore[union-attr]
    assert linkage == dict.fromkeys(("add", "mixed", "twice"), Linkage.STATIC) | {"clamp": Linkage.GLOBAL}


def test_subprograms_of_one_name_that_differ_are_two() -> None:
    def calling(name: str, number: int) -> ProgramSpec:
        code = (replace(asm.Call.local("part"), imm=1), asm.Exit(), asm.Mov.imm(0, number), asm.Exit())
        return small(name, instructions=code, functions=(FunctionSpec(name, 0), FunctionSpec("part", 2)))

    spec = CollectionSpec({name: calling(name, number) for name, number in (("a", 1), ("b", 2), ("c", 1))})
    elf, _, _ = parts(spec)
    assert sorted(symbol.name for symbol in elf.symbols if symbol.kind == FUNCTION) == ["a", "b", "c", "part", "part_2"]
    again = bpf.load_object(object_bytes(spec))
    assert [again.programs[name].instructions[2].imm for name in "abc"] == [1, 2, 1]


def test_programs_have_their_context_as_parameter() -> None:
    _, btf, told = parts(everything())
    (first, *_) = told.functions["xdp"]
    function = btf.type(first.type)
    assert isinstance(function, Func) and function.linkage is Linkage.GLOBAL
    prototype = btf.type(function.type)
    assert isinstance(prototype, FuncProto)
    assert btf.name(btf.third_word(prototype.parameters[0].type)) == "xdp_md"


def test_lines_are_those_of_the_python_file() -> None:
    _, _, told = parts(everything())
    texts = {line.text.strip() for line in told.lines["xdp"]}
    assert "state.runs += 1" in texts and {line.file for line in told.lines["xdp"]} == {"programs.py"}
    for section, functions in told.functions.items():
        starts = {line.offset for line in told.lines[section]}
        assert {function.offset for function in functions} <= starts  # the kernel wants a line for each


def test_variables_are_in_their_sections() -> None:
    elf, btf, _ = parts(everything())
    sections = {type.name: type for _, type in btf if isinstance(type, DataSec)}
    named = {
        name: {btf.name(each.type): (each.offset, each.size) for each in section.variables}
        for name, section in sections.items()
    }
    assert named[".bss"] == {"runs": (0, 8), "mark": (8, 8), "table": (16, 8), "rings_dropped": (24, 8)}
    assert named[".rodata"] == {"least": (0, 4), "settings_mark": (8, 8)}  # `mark` is in another class, too
    assert named[".data"] == {"at": (0, 8)}
    assert elf.sections[elf.section(".data") or 0].data == (7).to_bytes(8, sys.byteorder)
    symbols = {symbol.name: symbol for symbol in elf.symbols}
    assert (symbols["runs"].section, symbols["runs"].size) == (elf.section(".bss"), 8)


def test_functions_of_the_kernel_are_externs() -> None:
    try:
        elf, btf, _ = parts(spec_of(own.asking))
    except Unsupported as error:
        pytest.skip(str(error))
    wanted = {symbol.name: symbol.binding for symbol in elf.symbols if symbol.section == UNDEFINED and symbol.name}
    assert wanted == {"bpf_task_from_pid": WEAK, "bpf_task_release": WEAK}
    (number,) = btf.types_named("bpf_task_from_pid", Kind.FUNC)
    function = btf.type(number)
    assert isinstance(function, Func) and function.linkage is Linkage.EXTERN
    prototype = btf.type(function.type)
    assert isinstance(prototype, FuncProto) and len(prototype.parameters) == 1
    assert btf.name(btf.third_word(prototype.returns)) == "task_struct"
    program = bpf.load_object(object_bytes(spec_of(own.asking))).programs["asking"]
    assert {(each.name, each.kind, each.weak) for each in program.externs} == {
        (name, ExternKind.FUNCTION, True) for name in wanted
    }


def test_nothing_unused_is_among_the_types() -> None:
    _, btf, _ = parts(alone(small()))
    assert {type.kind for _, type in btf} == {Kind.INT, Kind.PTR, Kind.FUNC_PROTO, Kind.FUNC} and len(btf) == 5


@pytest.mark.parametrize("tool", [["readelf", "-aW"], ["llvm-objdump-19", "-dSr"]])
def test_other_tools_read_them(tool: list[str], tmp_path: Path) -> None:
    if not shutil.which(tool[0]):
        pytest.skip(f"there is no {tool[0]}")
    file = tmp_path / "x.o"
    bpf.write_object(everything(), file)
    done = subprocess.run([*tool, file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "called_back" in done.stdout
    if tool[0] != "readelf":
        assert "; " in done.stdout and "entry.packets += 1" in done.stdout  # the lines of the Python file


def test_the_same_bytes_from_anywhere(tmp_path: Path) -> None:
    """In other processes, from other folders, with other hashes."""
    made = []
    for number in range(3):
        folder = tmp_path / str(number)
        shutil.copytree(ROOT / "examples", folder / "examples")
        script = "import sys, purebpf.cli.main as m; sys.argv[0] = 'purebpf'; m.main()"
        command = [sys.executable, "-c", script, "build", "examples/whoami.py", "-o", "x.o"]
        environment = os.environ | {"PYTHONHASHSEED": str(number), "PYTHONPATH": str(ROOT), "PUREBPF_KEEP": "no"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        made.append((folder / "x.o").read_bytes())
    assert made[0] == made[1] == made[2]
    assert str(tmp_path).encode() not in made[0]


@pytest.mark.kernel
def test_libbpf_makes_the_same_instructions_of_them(tmp_path: Path) -> None:
    """CO-RE's answers, subprograms appended, kernel functions as numbers; maps as zero."""
    files, specs = {}, {}
    for name in ("execsnoop", "exitsnoop", "packet_count", "processes", "runqlat", "tail_calls", "whoami"):
        specs[name] = spec_of(*programs_of(ROOT / "examples" / f"{name}.py").values())
    specs["own"] = everything()
    for name, spec in specs.items():
        files[name] = tmp_path / f"{name}.o"
        bpf.write_object(spec, files[name])
    try:
        judged = libbpf.judged(files.values())
    except corpus.Missing as missing:
        pytest.skip(str(missing))
    asked = 0
    for name, spec in specs.items():
        found = judged[files[name]]
        assert not found.refused and found.programs.keys() == spec.programs.keys(), (name, found.said)
        for program in in_sections(spec).programs.values():
            theirs = found.programs[program.name]
            assert theirs.code == encode(without_descriptors(program), sys.byteorder).hex(), program.name
            assert not theirs.error, (program.name, theirs.said)
            asked += len(program.relocations)
    assert asked > 90


def test_what_is_written_is_read_again() -> None:
    spec = in_sections(everything())
    again = bpf.load_object(object_bytes(everything()))
    assert again.programs.keys() == spec.programs.keys() and again.maps.keys() == spec.maps.keys()
    for name, before in spec.programs.items():
        after = again.programs[name]
        assert after.instructions == before.instructions, name
        assert [(f.name, f.slot) for f in after.functions] == [(f.name, f.slot) for f in before.functions]
        wanted = before.type, before.section, before.license, before.attach_to, before.flags
        assert (after.type, after.section, after.license, after.attach_to, after.flags) == wanted
        if before.type is ProgramType.XDP:
            assert after.attach_type is AttachType.XDP  # the section says so; compiled programs leave it to the kernel
    for name, map in spec.maps.items():
        other = again.maps[name]
        assert (other.type, other.key_size, other.value_size, other.max_entries) == (
            map.type,
            map.key_size,
            map.value_size,
            map.max_entries,
        )
        assert other.entries == map.entries and other.frozen == map.frozen
        assert dict(other.contents) == dict(map.contents) or not any(map.contents[0][1]), name
        if not name.startswith("."):
            assert bool(other.types and other.types.key) == bool(map.types and map.types.key), name


def test_numbers_of_the_programs_own_types_are_those_of_the_object() -> None:
    types = (Int("int", 4, 32, signed=True), Int("other", 8, 64))
    asked = CoreRelocation(0, CoreKind.TYPE_ID_LOCAL, 2, "0")
    spec = alone(small(instructions=(asm.Mov.imm(0, 2), asm.Exit()), types=types, relocations=(asked,)))
    _, btf, told = parts(spec)
    number = bpf.load_object(object_bytes(spec)).programs["small"].instructions[0].imm
    assert btf.name(number) == "other" and told.relocations["xdp"][0].type == number


def test_pins_are_by_name() -> None:
    again = bpf.load_object(object_bytes(alone(small(), array("kept", pin="/sys/fs/bpf/kept"))))
    assert again.maps["kept"].pin == "/sys/fs/bpf/kept"


def test_numbers_beyond_32_bits() -> None:
    arena = MapSpec("memory", MapType.ARENA, 0, 0, 16, 1 << 10, extra=1 << 44)
    assert bpf.load_object(object_bytes(alone(small(), arena))).maps["memory"] == arena


def making(number: Instruction) -> CollectionSpec:
    """A program that makes an object of a type."""
    code = (number, asm.Mov.imm(2, 0), asm.Call.kfunc("bpf_obj_new_impl"), *RETURN)
    btf = BtfBuilder(sys.byteorder)
    types = MapTypes(b"", 0, btf.add(Int("int", 4, 32, signed=True)))
    return alone(small(instructions=code, types_of="tree"), array("tree", types=replace(types, btf=btf.encode())))


VALUE_OF = asm.LoadMapValue(1, "x")
LOOKED_UP = asm.LoadMapPtr(1, "x")


@pytest.mark.parametrize(
    "spec, said",
    [
        (CollectionSpec({n: small(n, license=n) for n in ("GPL", "MIT")}), "one license for all of its programs"),
        (alone(small(section="nowhere")), "the section 'nowhere', by which no loader knows"),
        (alone(small(section="tc")), "is xdp for xdp, but its section 'tc' says sched_cls|is xdp, but its section 'tc'"),
        (alone(small(flags=1 << 5)), "with the flags 0x20, but its section 'xdp'"),
        (alone(small(types_of="tree")), "makes objects of types of 'tree', which the collection does not have"),
        (making(asm.Mov.reg(1, 6)), "comes from elsewhere than a constant"),
        (making(asm.Mov.imm(1, 9)), "makes an object of the type 9; 'tree' has 1"),
        (alone(small(), array("x", pin="/sys/fs/bpf/mine/x")), "only says that a map is pinned by its name"),
        (alone(small(), array("x", contents=((bytes(4), bytes(8)),))), "only data sections have contents"),
        (alone(small(), array("small")), "both called so"),
        (
            alone(small(instructions=(VALUE_OF, LOOKED_UP, *RETURN)), array("x")),
            "looks the map 'x' up, which is used as memory",
        ),
        (alone(small(instructions=(VALUE_OF, *RETURN)), array("x", max_entries=2)), "is a array with 2 entries"),
        (alone(small(instructions=(LOOKED_UP, *RETURN))), "uses the map 'x', which the collection does not have"),
        (alone(small(instructions=(asm.LoadMapPtr(1, 7), *RETURN))), "an object file has names only"),
        (alone(small(instructions=(asm.Call.local("gone"), *RETURN))), "calls the function 'gone', which is not defined here"),
        (alone(small(instructions=(asm.Call.kfunc("no_such_function"), *RETURN))), "no such function"),
        (alone(small(), MapSpec("t", MapType.PROG_ARRAY, 4, 4, 2, entries=((b"\5\0\0\0", "small"),))), "below max_entries"),
        (alone(small(), MapSpec("t", MapType.PROG_ARRAY, 4, 4, 2, entries=((bytes(4), "gone"),))), "no program or map"),
        (
            alone(small(type=ProgramType.STRUCT_OPS, section="struct_ops/x", attach_to="tcp_congestion_ops.init")),
            "write them together",
        ),
    ],
)
def test_what_has_no_place_in_an_object_is_an_error(spec: CollectionSpec, said: str) -> None:
    with pytest.raises(Error) as caught:
        object_of(spec)
    assert any(each in str(caught.value) for each in said.split("|")), caught.value


def test_the_command_writes_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "purebpf", "build", str(ROOT / "examples" / "tail_calls.py")]
    done = subprocess.run([*command, "-o", str(tmp_path / "x.o")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    spec = bpf.load_object(tmp_path / "x.o")
    assert sorted(spec.programs) == ["entry", "tcp", "udp"] and len(spec.maps["handlers"].entries) == 2
    wrong = subprocess.run([*command, "-o", str(tmp_path / "x.json")], capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 2 and "ends in .o" in wrong.stderr
    gone = subprocess.run([*command, "-o", str(tmp_path / "no" / "x.o")], capture_output=True, text=True, timeout=60)
    assert gone.returncode == 1 and "cannot be written" in gone.stderr and "Traceback" not in gone.stderr


def test_variables_have_types() -> None:
    _, btf, _ = parts(everything())
    found = {type.name: btf.size_of(type.type) for _, type in btf if isinstance(type, Var) and not type.name.startswith("by")}
    assert found["runs"] == 8 and found["table"] == 8


@pytest.mark.parametrize(
    "spec, said",
    [
        (alone(small(instructions=(asm.LoadKsym(1, "?f"), asm.Jump(9), *RETURN))), "refers to its slot 12"),
        (alone(small(instructions=(VALUE_OF, *RETURN)), array("x", value_size=1 << 32)), "a data section has 1 to"),
        (
            alone(small(), MapSpec("t", MapType.PROG_ARRAY, 4, 4, (1 << 32) - 1, entries=((b"\xff" * 3 + b"\x7f", "small"),))),
            "indices of 32 bits",
        ),
        (
            replace(alone(small(instructions=(VALUE_OF, *RETURN)), array("x")), variables={"v": VariableSpec("v", "x", 8, 4)}),
            "lies outside of .bss",
        ),
    ],
)
def test_what_makes_no_sense_is_an_error(spec: CollectionSpec, said: str) -> None:
    with pytest.raises(Error) as caught:
        object_of(spec)
    assert said in str(caught.value), caught.value
