"""Logs as other loaders print them, and the words for what the verifier tracks."""

from __future__ import annotations

import pytest

from purebpf.explain import Explanation, explain
from purebpf.explain.states import read_state, read_states
from purebpf.explain.words import describe

LIBBPF = """\
libbpf: prog 'count': BPF program load failed: Permission denied
libbpf: prog 'count': -- BEGIN PROG LOAD LOG --
0: R1=ctx() R10=fp0
; void *data = (void *)(long)ctx->data; @ count.bpf.c:21
0: (61) r2 = *(u32 *)(r1 +0)          ; R1=ctx() R2_w=pkt(r=0)
;\x20
; if (eth->h_proto != bpf_htons(ETH_P_IP)) @ count.bpf.c:25
1: (69) r3 = *(u16 *)(r2 +12)
invalid access to packet, off=12 size=2, R2(id=0,off=12,r=0)
R2 offset is outside of the packet
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
-- END PROG LOAD LOG --
libbpf: prog 'count': failed to load: -13
libbpf: failed to load object 'count.bpf.o'
"""
WITHOUT_FILES = """\
    ; if (eth->h_proto != bpf_htons(ETH_P_IP))
    1: (69) r3 = *(u16 *)(r2 +12)
    invalid access to packet, off=12 size=2, R2(id=0,off=12,r=0)
    R2 offset is outside of the packet
    processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""
LEVEL_2 = """\
func#0 @0
0: R1=ctx(id=0,off=0,imm=0) R10=fp0
0: (b7) r3 = 7
1: R1=ctx(id=0,off=0,imm=0) R3_w=inv7 R10=fp0
1: (71) r0 = *(u8 *)(r3 +0)
R3 invalid mem access 'inv'
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""
PATHS = """\
0: R1=ctx() R10=fp0
0: (85) call bpf_get_prandom_u32#7    ; R0_w=scalar()
1: (b7) r6 = 9                        ; R6_w=9
2: (15) if r0 == 0x0 goto pc+1        ; R0_w=scalar()
3: (b7) r6 = 5                        ; R6_w=5
4: (95) exit
from 2 to 4: R0_w=0 R6_w=map_value_or_null(id=3,map=m,ks=4,vs=8) R10=fp0
4: R0_w=0 R6_w=map_value_or_null(id=3,map=m,ks=4,vs=8) R10=fp0
4: (71) r0 = *(u8 *)(r6 +0)
R6 invalid mem access 'map_value_or_null'
processed 6 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""

COPIES = """\
0: R1=ctx() R10=fp0
5: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,map=counts,ks=4,vs=8)
6: (bf) r7 = r0  ; R0=map_value_or_null(id=1,map=counts,ks=4,vs=8) R7=map_value_or_null(id=1,map=counts,ks=4,vs=8)
7: (15) if r0 == 0x0 goto pc+1        ; R0=map_value(map=counts,ks=4,vs=8)
8: (bf) r8 = r6                       ; R6=scalar(id=2) R8=scalar(id=2)
9: (25) if r6 > 0xc8 goto pc+2        ; R6=scalar(id=2,smin=0,smax=umax=200,var_off=(0x0; 0xff))
10: (7b) *(u64 *)(r7 +8) = r8
invalid access to map value, value_size=8 off=8 size=8
processed 8 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""


def explained(log: str) -> Explanation:
    explanation = explain(log)
    assert explanation is not None
    return explanation


def test_libbpfs_log_has_the_c_line() -> None:
    source = explained(LIBBPF).spot.source
    assert source is not None
    assert (source.file, source.line, source.text) == ("count.bpf.c", 25, "if (eth->h_proto != bpf_htons(ETH_P_IP))")


def test_a_source_line_without_file_is_shown_too() -> None:
    explanation = explained(WITHOUT_FILES)
    assert explanation.rule == "packet_range" and explanation.spot.slot == 1
    assert explanation.spot.source is not None and explanation.spot.source.file == ""


def test_level_2_tells_the_state_before_each_instruction() -> None:
    explanation = explained(LEVEL_2)
    assert (explanation.rule, explanation.registers) == ("not_a_pointer", {"r3": "the number 7"})


def test_the_state_is_that_of_the_last_path() -> None:
    assert explained(PATHS).registers == {"r6": "a value of map `m` (8 bytes), may be NULL"}


def test_what_is_learnt_of_a_register_holds_for_its_copies() -> None:
    assert explained(COPIES).registers == {"r7": "a value of map `counts` (8 bytes)", "r8": "a number between 0 and 200"}


def test_words_that_no_rule_knows_are_given_as_they_are() -> None:
    explanation = explained("0: R1=ctx() R10=fp0\n0: (bf) r2 = r1\nR1 is quite surprising\nprocessed 1 insns (limit 5)\n")
    assert (explanation.rule, explanation.message, explanation.spot.slot) == ("", "R1 is quite surprising", 0)
    assert explanation.registers == {"r1": "the context"}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("7", "the number 7"),
        ("P-9", "the number -9"),
        ("inv7", "the number 7"),
        ("invP(id=0)", "a number that may be anything"),
        ("scalar()", "a number that may be anything"),
        ("scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))", "a number between 0 and 255"),
        ("inv(id=0,umax_value=255,var_off=(0x0; 0xff))", "a number between 0 and 255"),
        ("scalar(id=2,smax=8)", "a number of at most 8, which may be negative"),
        ("scalar(smin=0xffffffff80000000,smax=0x7fffffff)", "a number between -2,147,483,648 and 2,147,483,647"),
        ("inv(id=0,smin_value=-9,smax_value=7)", "a number between -9 and 7"),
        ("ctx()", "the context"),
        ("ctx(off=8)", "the context + 8"),
        ("pkt(off=14,r=14)", "packet + 14, checked up to byte 14"),
        ("pkt(id=0,off=0,r=0,imm=0)", "packet, of which no byte is checked"),
        ("pkt_end()", "the packet's end"),
        ("fp-16", "stack at -16"),
        ("map_value_or_null(id=1,map=counts,ks=4,vs=8)", "a value of map `counts` (8 bytes), may be NULL"),
        ("map_value(map=m,ks=4,vs=8,smin=smin32=0,smax=umax=255)", "a value of map `m` (8 bytes) + a number between 0 and 255"),
        ("ringbuf_mem(ref_obj_id=2,sz=16)", "a ring buffer record of 16 bytes"),
        ("trusted_ptr_task_struct()", "a kernel `task_struct` (trusted)"),
        ("sock_or_null(id=2,ref_obj_id=2)", "a socket, may be NULL"),
        ("mmmm????", "8 bytes, written and not written"),
    ],
)
def test_states_in_words(state: str, words: str) -> None:
    assert describe(read_state(state)) == words


def test_states_of_a_line_are_told_apart() -> None:
    states = read_states("R0_w=scalar(smin=0,var_off=(0x0; 0xff)) R1=ctx() R2_rw=P7 fp-8=mmmm???? refs=2")
    assert list(states) == ["R0", "R1", "R2", "fp-8"]
    assert states["R0"].tnum == (0, 0xFF)


RELOCATION = """\
0: R1=ctx() R10=fp0
0: <invalid CO-RE relocation>
failed to resolve CO-RE relocation <{kind}> [9] {what} = 3
processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""


@pytest.mark.parametrize(
    "kind, what, name",
    [
        ("byte_off", "struct s.in.x[3] (0:0:3 @ offset 12)", "s.in.x[3]"),
        ("enumval_value", "enum e::GONE", "e::GONE"),
    ],
)
def test_what_libbpf_could_not_relocate_is_named(kind: str, what: str, name: str) -> None:
    explanation = explain(RELOCATION.format(kind=kind, what=what))
    assert explanation and explanation.rule == "core_poison"
    assert explanation.message == f"this kernel has no `{name}` as the program knows it"
