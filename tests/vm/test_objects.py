"""Objects, lists and trees in the virtual machine: what the verifier would refuse is an error when it happens."""

from __future__ import annotations

import pytest

from purebpf.errors import VmError
from purebpf.isa.asm import DW, R0, R1, R2, R6, Add, Call, Exit, LoadMapValue, LoadMem, Mov
from purebpf.isa.assembler import assemble
from purebpf.lang.graphs import List, ListNode
from purebpf.lang.locks import SpinLock
from purebpf.lang.maps import Array
from purebpf.lang.records import struct
from purebpf.lang.scalars import u64
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.enums import ProgramType
from purebpf.vm.engine import VmEngine
from purebpf.vm.objects import object_sizes


@struct
class Item:
    node: ListNode
    value: u64 = 0


@struct
class Queue:
    lock: SpinLock
    items: List[Item]


queues = Array[Queue](max_entries=1, name="queues")


def spec() -> MapSpec:
    return queues.describe("queues")


def item_type() -> int:
    types = spec().types
    assert types is not None
    return next(number for number, size in object_sizes(types).items() if size == 32)


WRONG = {
    "of no type": ((Mov.imm(R1, 999), Call.kfunc("bpf_obj_new_impl"), Mov.imm(R0, 0), Exit()), "of the type 999"),
    "given back that it has not": (
        (LoadMapValue(R1, "queues"), Mov.imm(R2, 0), Call.kfunc("bpf_obj_drop_impl"), Mov.imm(R0, 0), Exit()),
        "an object that it does not have",
    ),
    "without the lock": (
        (LoadMapValue(R1, "queues"), Add.imm(R1, 8), Call.kfunc("bpf_list_pop_front"), Mov.imm(R0, 0), Exit()),
        "without its lock",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_misuse_is_told(name: str) -> None:
    code, message = WRONG[name]
    engine = VmEngine()
    maps = {"queues": engine.create_map(spec())}
    instructions = assemble((LoadMapValue(R1, "queues"), Mov.imm(R2, 0), *code))  # type: ignore[arg-type]
    program = ProgramSpec("test", ProgramType.XDP, tuple(instructions), types_of="queues")
    with engine.load_program(program, maps) as loaded, pytest.raises(VmError, match=message):
        loaded.run(data=bytes(64))


def test_an_object_that_was_given_back_is_gone() -> None:
    engine = VmEngine()
    maps = {"queues": engine.create_map(spec())}
    code = (
        LoadMapValue(R1, "queues"),
        Mov.imm(R1, item_type()),
        Mov.imm(R2, 0),
        Call.kfunc("bpf_obj_new_impl"),
        Mov.reg(R6, R0),
        Mov.reg(R1, R6),
        Mov.imm(R2, 0),
        Call.kfunc("bpf_obj_drop_impl"),
        LoadMem(R0, R6, 24, DW),
        Exit(),
    )
    program = ProgramSpec("test", ProgramType.XDP, tuple(assemble(code)), types_of="queues")
    with engine.load_program(program, maps) as loaded, pytest.raises(VmError, match="where nothing is"):
        loaded.run(data=bytes(64))
