"""Helpers by name."""

from __future__ import annotations

import pytest

from purebpf.errors import AssemblerError
from purebpf.isa import Instruction, format_instruction, parse_instruction
from purebpf.isa.asm import Fn
from purebpf.isa.helpers import UnknownHelper, ids_by_name, names_by_id


def test_a_call_by_name_has_the_number() -> None:
    assert Fn.map_lookup_elem.call() == Instruction(0x85, imm=1)
    assert Fn.ktime_get_ns.call() == Instruction(0x85, imm=5)
    assert Fn.bpf_ktime_get_ns == Fn.ktime_get_ns


def test_every_helper_reads_back_by_name_and_number() -> None:
    for number, name in names_by_id().items():
        text = f"call {name}#{number}"
        assert format_instruction(Instruction(0x85, imm=number)) == text
        assert parse_instruction(text) == parse_instruction(f"call {name}") == Instruction(0x85, imm=number)


def test_names_and_numbers_are_unique_and_listed() -> None:
    assert len(ids_by_name()) == len(names_by_id()) > 200
    assert {"map_lookup_elem", "ringbuf_output", "ktime_get_ns"} <= set(dir(Fn))


def test_an_unknown_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownHelper, match="there is no helper bpf_map_lookup_elm; did you mean bpf_map_lookup_elem"):
        Fn.map_lookup_elm  # noqa: B018
    with pytest.raises(AssemblerError, match="there is no helper bpf_qqqqqqqq; a kernel function that is no helper is a kfunc"):
        Fn.qqqqqqqq  # noqa: B018


def test_it_can_be_inspected() -> None:
    assert not hasattr(Fn, "_private")
    assert not hasattr(Fn, "no_such_helper_at_all")


def test_an_unknown_number_is_shown_as_the_kernel_shows_it() -> None:
    instruction = Instruction(0x85, imm=9999)
    assert format_instruction(instruction) == "call unknown#9999"
    assert parse_instruction("call unknown#9999") == instruction


def test_a_name_that_is_not_the_number_s_is_refused() -> None:
    with pytest.raises(AssemblerError, match="helper 1 is bpf_map_lookup_elem, not bpf_map_update_elem"):
        parse_instruction("call bpf_map_update_elem#1")
    with pytest.raises(AssemblerError, match=r"a kernel function is written call kfunc\[bpf_task_acquire btf:71234\]"):
        parse_instruction("call bpf_task_acquire#71234")
