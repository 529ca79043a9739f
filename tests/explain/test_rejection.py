"""A rejected Python program is told in the look of a compile error, with the whole log on request."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.collection import Collection
from purebpf.errors import VerifierError
from purebpf.explain import Explanation
from purebpf.isa.instruction import Instruction
from purebpf.net import ETH_P_IP, Ethernet
from purebpf.program import Program
from tests.explain.careless import Careless

pytestmark = pytest.mark.kernel
JUMP_IF = {0x15, 0x55, 0x25, 0x2D, 0xB5, 0xBD, 0x35, 0x3D, 0x16, 0x56, 0x26, 0xA6, 0xB6, 0x36, 0xA5, 0xAD}
hits = bpf.Hash[u32, u64](max_entries=8)


@bpf.xdp
def looks_inside(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return bpf.XDP_DROP
    if eth.proto == ETH_P_IP:
        return bpf.XDP_PASS
    return bpf.XDP_DROP


@bpf.xdp
def looks_up(ctx: bpf.XdpContext) -> bpf.XdpAction:
    found = hits.get(ctx.ingress_ifindex)
    if found is None:
        return bpf.XDP_DROP
    return bpf.XDP_PASS if found > 5 else bpf.XDP_DROP


def rejected(program: Program, unwanted: Callable[[Instruction], bool]) -> VerifierError:
    with pytest.raises(VerifierError) as error:
        Collection([program], Careless(unwanted)).load()
    return error.value


def is_guard(instruction: Instruction) -> bool:
    return instruction.opcode in JUMP_IF


def test_packet_access_without_check_points_to_the_python_line() -> None:
    error = rejected(looks_inside, is_guard)
    text = str(error)
    assert text.startswith("error: the kernel's verifier rejected `looks_inside`: the packet may be too short here\n")
    assert re.search(r" --> .*test_rejection\.py:\d+:8\n", text)
    assert "|     if eth.proto == ETH_P_IP:" in text
    assert re.search(r"\|        \^{9} this needs 2 bytes at offset 12; checked are 0\n", text)
    assert re.search(r"= r\d is packet, of which no byte is checked\n", text)
    assert "= the verifier says: invalid access to packet, off=12 size=2" in text
    assert "= help: read it by `ctx.packet.at(offset, T)` and test the result for None" in text
    assert isinstance(error.explanation, Explanation) and error.explanation.rule == "packet_range"
    assert "processed" in error.log and error.errno


def test_value_that_may_be_missing_is_told() -> None:
    text = str(rejected(looks_up, is_guard))
    assert "this reference may be NULL here" in text
    assert re.search(
        r"is a (value of map `hits`|map's value) \(8 bytes\), may be None", text
    )  # Linux 5.10 does not name the map
    assert "= help: test it first: `if x is not None:`" in text


def test_the_whole_log_is_shown_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    short = str(rejected(looks_inside, is_guard))
    assert "PUREBPF_LOG=full shows them" in short and "\n    processed" not in short
    monkeypatch.setenv("PUREBPF_LOG", "full")
    error = rejected(looks_inside, is_guard)
    shown = [line[4:] for line in str(error).partition("The whole log:\n")[2].splitlines()]
    assert shown == error.log.strip().splitlines()


def test_a_program_that_is_accepted_is_not_touched() -> None:
    with Collection([looks_inside], Careless(lambda instruction: False)).load() as collection:
        assert collection.of(looks_inside)
