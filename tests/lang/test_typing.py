"""Type checkers and annotated programs: nothing to find in a right one, and the mistakes of a wrong one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import purebpf as bpf
from tests.checker import checked
from tests.compiler.results import ENGINES
from tests.docs.test_snippets import snippets
from tests.lang import typed_program

HERE = Path(__file__).parent
PROGRAMS = [program for program in vars(typed_program).values() if isinstance(program, bpf.Program)]
WRONG = """
import purebpf as bpf
from purebpf import u32, u64


@bpf.struct
class Flow:
    packets: u64
    owner: str = bpf.chars(16)


flows = bpf.Hash[u32, Flow](max_entries=8)
hits = bpf.Hash[u32, u64](max_entries=8)


@bpf.xdp
def program(ctx: bpf.XdpContext) -> bpf.XdpAction:
    flows.get(1).packets += 1  # may be None
    flows[1] = Flow(owner="x")  # lacks a field
    flows[2].octets = 1  # has no such field
    hits[1] = "x"  # is no number
    hits["x"] += 1  # is no key
    bpf.XDP_PASS()  # is no function
    ctx.packet.at(0, Flow).packets = 1  # may be None
    return "x"  # is no action
"""


def test_a_right_program() -> None:
    assert checked(HERE / "typed_program.py").stdout.startswith("Success")


# At the end of a file, for lines to keep their numbers; as options they would be for purebpf's own files too, which mypy would
# look at again. Some snippets import a package that they make.
ALLOWED = """
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# mypy: disable-error-code="import-not-found"
"""


def test_examples_and_snippets_of_the_documentation(tmp_path: Path) -> None:
    """Each is a module of its own, named by where it stands. Annotations of functions are the author's choice."""
    for place, source in snippets():
        (tmp_path / f"{re.sub(r'[^a-z0-9]', '_', place.lower())}.py").write_text(source + ALLOWED)
    for example in (HERE.parents[1] / "examples").glob("*.py"):
        (tmp_path / example.name).write_text(example.read_text() + ALLOWED)
    done = checked(tmp_path)
    assert done.stdout.startswith("Success"), done.stdout + done.stderr


def test_a_wrong_program(tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(WRONG)
    said = checked(file).stdout
    lines = [number for number, line in enumerate(WRONG.splitlines(), 1) if "  # " in line]
    assert [number for number in lines if f"wrong.py:{number}: error:" not in said] == []
    assert f"Found {len(lines)} errors" in said


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("program", PROGRAMS, ids=[program.name for program in PROGRAMS])
def test_the_right_program_loads(program: bpf.Program, engine: str) -> None:
    with program.load(engine):
        pass


def test_a_checker_knows_every_public_name() -> None:
    """What is not imported for it, it would take for a UAPI constant."""
    tree = ast.parse(Path(bpf.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imported = {name.asname or name.name for node in block.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assigned = {n.id for node in block.body if isinstance(node, ast.Assign) for n in ast.walk(node) if isinstance(n, ast.Name)}
    names = {each.partition("=")[0] for exports in bpf._EXPORTS.values() for each in exports.split()}  # type: ignore[attr-defined]
    assert names - imported - assigned == set()
    assert set(bpf.__all__) <= imported
