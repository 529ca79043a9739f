"""The same program, packet and context in the kernel's test run and in the virtual machine: all that comes back is equal."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from purebpf.engine import Engine
from purebpf.errors import Error, KernelError, VerifierError
from purebpf.isa.asm import (
    DW,
    FP,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R9,
    Add,
    B,
    Exit,
    H,
    JGt,
    Label,
    LoadAbs,
    LoadImm64,
    LoadInd,
    LoadMapValue,
    LoadMem,
    Mov,
    Size,
    StoreImm,
    StoreMem,
    Sub,
    W,
)
from purebpf.kernel.engine import KernelEngine
from purebpf.spec import MapSpec
from purebpf.tables.contexts import ContextField, FieldKind, context
from purebpf.tables.enums import MapType, ProgramType
from purebpf.vm.contexts import places
from purebpf.vm.engine import VmEngine
from tests.vm.support import OUT, Code, helper, loaded, u64

pytestmark = pytest.mark.kernel
P = ProgramType
SIZES = {1: B, 2: H, 4: W, 8: DW}

IPV4 = bytes.fromhex("02000000000102000000000208004500003c1c4640004006b1e60a0000010a000002") + bytes(range(40))
IPV6 = bytes.fromhex("0000000000000200000000028 6dd".replace(" ", "")) + bytes(range(60))
FRAMES = {
    "ipv4 to another host": IPV4,
    "ipv6 to the host": IPV6,
    "broadcast": b"\xff" * 6 + IPV4[6:],
    "multicast": b"\x01" + IPV4[1:],
    "vlan": IPV4[:12] + bytes.fromhex("81000005") + IPV4[12:],
    "802.2": IPV4[:12] + bytes.fromhex("0020aaaa") + bytes(30),
    "802.3": IPV4[:12] + bytes.fromhex("0020ffff") + bytes(30),
    "shortest": bytes(14),
}
ON_BUFFERS = (P.SCHED_CLS, P.SCHED_ACT, P.SOCKET_FILTER, P.CGROUP_SKB, P.LWT_IN, P.LWT_OUT, P.LWT_XMIT)


@dataclass(frozen=True)
class Outcome:
    """What a run gives; `refused` is the errno of a refusal (0 where it has none)."""

    value: int = 0
    data: bytes = b""
    context: bytes = b""
    out: bytes = b""
    refused: int | None = None


def outcome(engine: Engine, code: Code, type: ProgramType, data: bytes | None, ctx: bytes | None) -> Outcome:
    with loaded(engine, code, type, [OUT]) as made:
        try:
            result = made.run(data, ctx)
        except KernelError as error:
            return Outcome(refused=error.errno)
        except Error:
            return Outcome(refused=0)
        return Outcome(result.value, result.data, result.context, made.out())


def same(code: Code, type: ProgramType, data: bytes | None = None, ctx: bytes | None = None) -> Outcome:
    """Run it in both; the outcome, which must be equal."""
    expected = outcome(KernelEngine(), code, type, data, ctx)
    assert outcome(VmEngine(), code, type, data, ctx) == expected
    return expected


def out(offset: int, register: int) -> Code:
    """Keep a register; r1 to r5 are not touched."""
    return (LoadMapValue(R9, "out"), StoreMem(R9, offset, register, DW))


END = (Mov.imm(R0, 1), Exit())


# Contexts.


def readable(type: ProgramType) -> Iterator[ContextField]:
    found = context(type)
    assert found is not None
    for field in found.fields.values():
        if field.kind is FieldKind.SCALAR and field.read_sizes and not field.read_attach:
            yield field


def all_fields(type: ProgramType) -> Code:
    code: list[object] = [LoadMapValue(R9, "out")]
    at = 0
    for field in readable(type):
        width = max(field.read_sizes)
        for element in range(max(field.count, 1)):
            offset = field.offset + element * width
            code += [LoadMem(R2, R1, offset, SIZES[width]), StoreMem(R9, at, R2, DW)]
            at += 8
    return [*code, *END]  # type: ignore[list-item]


@pytest.mark.parametrize("type", [*ON_BUFFERS, P.XDP], ids=lambda type: type.name)
@pytest.mark.parametrize("frame", FRAMES)
def test_all_fields_of_a_context(type: ProgramType, frame: str) -> None:
    same(all_fields(type), type, FRAMES[frame])


def skb(**fields: int) -> bytes:
    memory = bytearray(192)
    for name, value in fields.items():
        place = places("__sk_buff")[name]
        memory[place.offset : place.offset + place.size] = value.to_bytes(place.size, "little")
    return bytes(memory)


GIVEN = {
    "nothing": skb(),
    "mark, priority, cb": skb(mark=5, priority=7, cb=0x1122_3344_5566_7788_9900),
    "times": skb(tstamp=99, hwtstamp=3),
    "offloading": skb(gso_size=100, gso_segs=3, wire_len=1000),
    "too many segments": skb(gso_segs=70_000),
    "wire shorter than packet": skb(wire_len=3),
    "loopback": skb(ifindex=1, ingress_ifindex=1),
    "length": skb(len=3),
    "protocol": skb(protocol=8),
    "data": skb(data=1),
    "half a context": skb(mark=5)[:50],
    "none of it": b"",
    "zeros behind": skb(mark=5) + bytes(8),
    "more behind": skb(mark=5) + bytes(7) + b"x",
}


@pytest.mark.parametrize("type", [P.SCHED_CLS, P.SOCKET_FILTER, P.CGROUP_SKB], ids=lambda type: type.name)
@pytest.mark.parametrize("given", GIVEN)
def test_context_that_is_given(type: ProgramType, given: str) -> None:
    same(all_fields(type), type, IPV4, GIVEN[given])


WRITES = {"mark": 11, "priority": 12, "tc_index": 13, "tstamp": 14, "queue_mapping": 3, "tc_classid": 9}


def test_fields_that_are_written_come_back() -> None:
    fields = context(P.SCHED_CLS).fields  # type: ignore[union-attr]
    code: list[object] = [StoreImm(R1, fields["cb"].offset + 4 * index, 100 + index, W) for index in range(5)]
    for name, value in WRITES.items():
        code += [Mov.imm(R2, value), StoreMem(R1, fields[name].offset, R2, SIZES[max(fields[name].write_sizes)])]
    found = same([*code, *all_fields(P.SCHED_CLS)], P.SCHED_CLS, IPV4, skb())  # type: ignore[list-item]
    mark = places("__sk_buff")["mark"].offset
    assert found.context[mark] == WRITES["mark"]


@pytest.mark.parametrize("length", [0, 13, 14, 15, 33, 34, 53, 54])
@pytest.mark.parametrize("type", [P.SCHED_CLS, P.SOCKET_FILTER, P.LWT_XMIT, P.XDP], ids=lambda type: type.name)
@pytest.mark.parametrize("frame", [IPV4, IPV6, bytes(60)], ids=["ipv4", "ipv6", "neither"])
def test_short_frames(length: int, type: ProgramType, frame: bytes) -> None:
    same(END, type, frame[:length])


def xdp_md(data: int, data_end: int, meta: int = 0, ifindex: int = 0, queue: int = 0, egress: int = 0) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in (data, data_end, meta, ifindex, queue, egress))


PACKET = bytes(range(256)) + bytes(44)
MDS = [
    xdp_md(0, 300), xdp_md(4, 300), xdp_md(3, 300), xdp_md(36, 300), xdp_md(216, 300), xdp_md(220, 300), xdp_md(252, 300),
    xdp_md(256, 300), xdp_md(300, 300), xdp_md(284, 300), xdp_md(288, 300), xdp_md(0, 301), xdp_md(0, 300, 4),
    xdp_md(0, 300, 0, 1), xdp_md(0, 300, 0, 0, 1), xdp_md(0, 300, 0, 0, 0, 1), xdp_md(0, 300)[:8], xdp_md(0, 300) + bytes(4),
    xdp_md(0, 300) + b"\0\0\0\1",
]  # fmt: skip


@pytest.mark.parametrize("given", MDS, ids=lambda given: given.hex(" ", 4))
def test_context_of_xdp_that_is_given(given: bytes) -> None:
    code = (
        LoadMem(R2, R1, 0, W),
        LoadMem(R3, R1, 4, W),
        LoadMem(R4, R1, 8, W),
        LoadMem(R5, R1, 12, W),
        Mov.reg(R6, R2),
        Add.imm(R6, 1),
        Mov.imm(R0, 1),
        JGt.reg(R6, R3, "out"),
        LoadMem(R7, R2, 0, B),
        *out(0, R5),
        *out(8, R7),
        StoreImm(R2, 0, 0x77, B),
        Mov.imm(R0, 2),
        Label("out"),
        Exit(),
    )
    same(code, P.XDP, PACKET, given)


# Packets.


@pytest.mark.parametrize("type", [P.SCHED_CLS, P.CGROUP_SKB, P.LWT_XMIT, P.LWT_IN], ids=lambda type: type.name)
def test_direct_access_begins_where_the_program_type_says(type: ProgramType) -> None:
    fields = places("__sk_buff")
    code = (
        LoadMem(R2, R1, fields["data"].offset, W),
        LoadMem(R3, R1, fields["data_end"].offset, W),
        Mov.reg(R4, R2),
        Add.imm(R4, 16),
        JGt.reg(R4, R3, "out"),
        LoadMem(R5, R2, 0, DW),
        *out(0, R5),
        LoadMem(R5, R2, 8, DW),
        *out(8, R5),
        Label("out"),
        *END,
    )
    found = same(code, type, IPV4)
    assert found.out[:16] == (IPV4[:16] if type is P.SCHED_CLS else IPV4[14:30])


NETWORK, LINK = -0x100000, -0x200000


@pytest.mark.parametrize(
    "offset", [0, 1, 12, 59, 60, 73, 74, NETWORK, NETWORK + 8, NETWORK + 59, LINK, LINK + 12, LINK + 73, -1, -8]
)
@pytest.mark.parametrize("type", [P.SOCKET_FILTER, P.SCHED_CLS], ids=lambda type: type.name)
@pytest.mark.parametrize("size", [B, H, W], ids=["B", "H", "W"])
def test_classic_loads(offset: int, type: ProgramType, size: Size) -> None:
    absolute = (Mov.reg(R6, R1), LoadAbs(offset, size), *out(0, R0), Mov.imm(R0, 5), Exit())
    indirect = (Mov.reg(R6, R1), Mov.imm(R7, 3), LoadInd(R7, offset - 3, size), *out(0, R0), Mov.imm(R0, 5), Exit())
    assert same(absolute, type, IPV4).value in (0, 5)
    same(indirect, type, IPV4)


def call(name: str, *arguments: int | str | Code) -> Code:
    """A call with the program's context, kept in r6, and these arguments: numbers, or "stack-N" for a place on the stack."""
    code: list[object] = [Mov.reg(R1, R6)]
    for register, argument in enumerate(arguments, 2):
        if isinstance(argument, str):
            code += [Mov.reg(register, FP), Add.imm(register, int(argument.removeprefix("stack")))]
        elif isinstance(argument, int):
            code.append(LoadImm64(register, argument))
    return [*code, helper(name)]  # type: ignore[list-item]


def zero_stack(size: int) -> Code:
    return tuple(StoreImm(FP, -at, 0, DW) for at in range(8, size + 8, 8))


def keep_stack(size: int, at: int) -> Code:
    return (LoadMapValue(R9, "out"), *(each for offset in range(0, size, 8) for each in (
        LoadMem(R2, FP, offset - size, DW), StoreMem(R9, at + offset, R2, DW))))  # fmt: skip


@pytest.mark.parametrize("offset", [0, 14, 40, 59, 60, 61, 66, 67, 74, 100, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
@pytest.mark.parametrize("type", [P.SOCKET_FILTER, P.SCHED_CLS, P.CGROUP_SKB, P.LWT_IN], ids=lambda type: type.name)
def test_load_bytes(offset: int, type: ProgramType) -> None:
    code = (Mov.reg(R6, R1), StoreImm(FP, -8, -1, DW), *call("skb_load_bytes", offset, "stack-8", 8), *out(0, R0),
            *keep_stack(8, 8), *END)  # fmt: skip
    same(code, type, IPV4)


@pytest.mark.parametrize("offset", [0, 12, 40, 60, 66, 70, 0xFFFF, 0x1_0000])
@pytest.mark.parametrize("header", [0, 1, 2])
def test_load_bytes_relative(offset: int, header: int) -> None:
    load = call("skb_load_bytes_relative", offset, "stack-8", 8, header)
    code = (Mov.reg(R6, R1), StoreImm(FP, -8, -1, DW), *load, *out(0, R0), *keep_stack(8, 8), *END)  # fmt: skip
    same(code, P.SOCKET_FILTER, IPV4)
    same(code, P.SCHED_CLS, IPV4)


@pytest.mark.parametrize("offset", [0, 14, 66, 67, 74, 0x7FFF_FFFF, 0xFFFF_FFFF])
@pytest.mark.parametrize("flags", [0, 1, 2, 3, 4])
def test_store_bytes(offset: int, flags: int) -> None:
    code = (Mov.reg(R6, R1), LoadImm64(R2, 0x1122_3344_5566_7788), StoreMem(FP, -8, R2, DW),
            *call("skb_store_bytes", offset, "stack-8", 8, flags), *out(0, R0), *END)  # fmt: skip
    same(code, P.SCHED_CLS, IPV4)


@pytest.mark.parametrize("helper_name", ["l3_csum_replace", "l4_csum_replace"])
@pytest.mark.parametrize("offset", [24, 25, 50, 72, 73, 74, 0x1_0000])
@pytest.mark.parametrize("flags", [0, 2, 4, 3, 0x12, 0x14, 0x22, 0x24, 0x62, 0x100])
def test_checksum_replacement(helper_name: str, offset: int, flags: int) -> None:
    for before, after in ((0, 0x1234), (0x0A00_0001, 0x0A00_0003), (0x1234, 0x1234), (0xFFFF, 0), (0x1_0000_0001, 0xFFFF_FFFF)):
        code = (Mov.reg(R6, R1), *call(helper_name, offset, before, after, flags), *out(0, R0), *END)
        same(code, P.SCHED_CLS, IPV4)
        same(code, P.SCHED_CLS, IPV4[:50] + bytes(24))


@pytest.mark.parametrize("seed", [0, 1, 0xFFFF, 0x1_0000, 0xFFFF_FFFF, 0x1234_5678])
@pytest.mark.parametrize("sizes", [(0, 0), (4, 0), (0, 4), (8, 8), (16, 4), (4, 16), (3, 0), (0, 6)])
def test_checksum_difference(seed: int, sizes: tuple[int, int]) -> None:
    numbers = random.Random(seed)
    for content in (bytes(32), b"\xff" * 32, numbers.randbytes(32)):
        fill: list[object] = []
        for at in range(0, 32, 8):
            fill += [LoadImm64(R2, int.from_bytes(content[at : at + 8], "little")), StoreMem(FP, at - 32, R2, DW)]
        code = (
            *fill,
            Mov.reg(R1, FP) if sizes[0] else Mov.imm(R1, 0),
            *((Add.imm(R1, -32),) if sizes[0] else ()),
            Mov.imm(R2, sizes[0]),
            Mov.reg(R3, FP) if sizes[1] else Mov.imm(R3, 0),
            *((Add.imm(R3, -16),) if sizes[1] else ()),
            Mov.imm(R4, sizes[1]),
            LoadImm64(R5, seed),
            helper("csum_diff"),
            *out(0, R0),
            *END,
        )
        same(code, P.SCHED_CLS, IPV4)


@pytest.mark.parametrize("size", [0, 13, 14, 30, 74, 75, 200, 3000, 16_064, 16_065, 70_000])
def test_change_tail(size: int) -> None:
    """The packet is made short again, since the test run has no room to return a long one."""
    length = places("__sk_buff")["len"].offset
    change = (Mov.reg(R6, R1), *call("skb_change_tail", size, 0), *out(0, R0), LoadMem(R2, R6, length, W), *out(8, R2))
    back = call("skb_change_tail", 70, 0)
    same((*change, *back, *END), P.SCHED_CLS, IPV4)


@pytest.mark.parametrize("size", [0, 14, 74, 75, 1000])
def test_pull_data(size: int) -> None:
    same((Mov.reg(R6, R1), *call("skb_pull_data", size), *out(0, R0), *END), P.SCHED_CLS, IPV4)


@pytest.mark.parametrize("flags", [0, 1, 2, 3, 8])
@pytest.mark.parametrize("type", [P.SCHED_CLS, P.XDP], ids=lambda type: type.name)
def test_redirect(flags: int, type: ProgramType) -> None:
    same((Mov.imm(R1, 1), Mov.imm(R2, flags), helper("redirect"), Exit()), type, IPV4)


# XDP.

ADJUSTMENTS = {
    "xdp_adjust_head": [0, 1, 14, 60, 61, 74, 75, -1, -14, -216, -217, -256],
    "xdp_adjust_tail": [0, 1, 100, -1, -60, -61, -74, 3446, 3447],
    "xdp_adjust_meta": [0, -4, -3, -32, -36, -200, -216, -220, -252, -256, 4],
}


@pytest.mark.parametrize(("name", "delta"), [(name, delta) for name, deltas in ADJUSTMENTS.items() for delta in deltas])
def test_adjustment(name: str, delta: int) -> None:
    code = (Mov.reg(R6, R1), *call(name, delta & 0xFFFF_FFFF), *out(0, R0), *xdp_sizes(8), *END)
    found = same(code, P.XDP, IPV4)
    if name != "xdp_adjust_tail" or delta < 1000:
        same(code, P.XDP, IPV4, xdp_md(8, len(IPV4)))
    assert found.refused is None


def xdp_sizes(at: int) -> Code:
    """Keep how long packet and metadata are."""
    return (
        LoadMem(R2, R6, 0, W),
        LoadMem(R3, R6, 4, W),
        LoadMem(R4, R6, 8, W),
        Mov.reg(R5, R3),
        LoadMapValue(R9, "out"),
        Sub.reg(R5, R2),
        StoreMem(R9, at, R5, DW),
        Sub.reg(R2, R4),
        StoreMem(R9, at + 8, R2, DW),
    )


STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(ADJUSTMENTS)), st.integers(-20, 20).map(lambda n: 4 * n) | st.integers(-70, 70)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, meta=st.integers(0, 8).map(lambda n: 4 * n))
def test_any_sequence_of_adjustments(steps: list[tuple[str, int]], meta: int) -> None:
    code: list[object] = [Mov.reg(R6, R1)]
    for at, (name, delta) in enumerate(steps):
        code += [*call(name, delta & 0xFFFF_FFFF), *out(16 * at, R0)]
    same([*code, *xdp_sizes(256), *END], P.XDP, PACKET[:120], xdp_md(meta, 120))  # type: ignore[list-item]


@pytest.mark.parametrize("offset", [0, 60, 66, 67, 74, 0xFFFF, 0x1_0000, 0xFFFF_FFFF])
def test_bytes_of_a_frame(offset: int) -> None:
    load = (
        Mov.reg(R6, R1),
        StoreImm(FP, -8, -1, DW),
        *call("xdp_load_bytes", offset, "stack-8", 8),
        *out(0, R0),
        *keep_stack(8, 8),
    )
    store = (LoadImm64(R2, 0x1122_3344_5566_7788), StoreMem(FP, -8, R2, DW), *call("xdp_store_bytes", offset, "stack-8", 8))
    length = (Mov.reg(R1, R6), helper("xdp_get_buff_len"), *out(24, R0))
    same((*load, *store, *out(16, R0), *length, *END), P.XDP, IPV4)


# Texts.


def text_on_stack(text: bytes, at: int) -> Code:
    """A text at FP + at, padded with NULs to a multiple of 8."""
    code: list[object] = []
    for start in range(0, len(text), 8):
        code += [
            LoadImm64(R2, int.from_bytes(text[start : start + 8].ljust(8, b"\0"), "little")),
            StoreMem(FP, at + start, R2, DW),
        ]
    return code  # type: ignore[return-value]


NUMBERS = [b"0", b"12", b"-12", b"  42x", b"0x1F", b"0X1f", b"0x", b"0xg", b"017", b"08", b"", b"-", b"+5", b"abc", b"\t\n 7",
           b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"-9223372036854775809",
           b"18446744073709551615", b"18446744073709551616", b"- 5", b"0xffffffffffffffff", b"1" * 30]  # fmt: skip


@pytest.mark.parametrize("name", ["strtol", "strtoul"])
@pytest.mark.parametrize("text", NUMBERS, ids=lambda text: text.decode() or "nothing")
def test_parsing(name: str, text: bytes) -> None:
    for base in (0, 8, 10, 16, 2):
        code = (
            StoreImm(FP, -48, 0, DW),
            *zero_stack(40),
            *text_on_stack(text, -40),
            Mov.reg(R1, FP),
            Add.imm(R1, -40),
            Mov.imm(R2, len(text) + 1),
            Mov.imm(R3, base),
            Mov.reg(R4, FP),
            Add.imm(R4, -48),
            helper(name),
            *out(0, R0),
            LoadMem(R2, FP, -48, DW),
            *out(8, R2),
            *END,
        )
        same(code, P.SCHED_CLS, IPV4)


@pytest.mark.parametrize(
    ("left", "right"), [(b"abc", b"abc"), (b"abc", b"abd"), (b"abd", b"abc"), (b"ab", b"abc"), (b"abc", b"ab"), (b"\xff", b"a")]
)
def test_comparison_of_texts(left: bytes, right: bytes) -> None:
    constants = MapSpec(
        "texts", MapType.ARRAY, 4, 16, 1, flags=128, contents=((bytes(4), right.ljust(16, b"\0")),), frozen=True
    )
    code = (
        *text_on_stack(left, -8),
        Mov.reg(R1, FP),
        Add.imm(R1, -8),
        Mov.imm(R2, 8),
        LoadMapValue(R3, "texts"),
        helper("strncmp"),
        *out(0, R0),
        *END,
    )
    found = []
    for engine in (KernelEngine(), VmEngine()):
        with loaded(engine, code, P.SCHED_CLS, [OUT, constants]) as made:
            made.run(IPV4)
            found.append(made.out())
    assert found[0] == found[1]


FORMATS: list[tuple[bytes, tuple[int, ...]]] = [
    (b"plain", ()),
    (b"%d %i %u", (-1, -2, -3)),
    (b"%ld %lu %lx", (-1, -2, -3)),
    (b"%lld %llu %llX", (-(1 << 63), (1 << 64) - 1, 0xABCDEF)),
    (b"%x|%8x|%-8x|%08x", (0xAB, 0xAB, 0xAB, 0xAB)),
    (b"%+d|% d|%5d|%-5d|%05d", (7, 7, -7, -7, -7)),
    (b"%+05d|%-05d|% 05d", (7, 7, 7)),
    (b"%c%c|%5c|%-3c|", (65, 66, 67, 68)),
    (b"100%% %d", (5,)),
    (b"%px|%20px|%-20px|", (0x1234, 0x1234, 0x1234)),
    (b"%020px|%5px|", (0x1234, 0x1234)),
    (b"%d", ()),
    (b"%d %d", (1,)),
    (b"%f", (1,)),
    (b"%", (1,)),
    (b"%l", (1,)),
    (b"%lld%", (1, 2)),
    (b"%#x", (1,)),
    (b"%.3d", (1,)),
    (b"%sx", (1,)),
    (b"%hd", (1,)),
    (b"%5%", (1,)),
    (b"%zu", (1,)),
    (b"caf\xc3\xa9", ()),
    (b"\x01", ()),
    (b"a\tb\n", ()),
    (b"%pI4", (0,)),
    (b"%s|", (0,)),
    (b"%10u%%%d", (1, 2)),
]


@pytest.mark.parametrize(("fmt", "arguments"), FORMATS, ids=[fmt.decode("latin-1") for fmt, _ in FORMATS])
@pytest.mark.parametrize("room", [64, 5, 1])
def test_formatting(fmt: bytes, arguments: tuple[int, ...], room: int) -> None:
    formats = MapSpec("formats", MapType.ARRAY, 4, 64, 1, flags=128, contents=((bytes(4), fmt.ljust(64, b"\0")),), frozen=True)
    fill: list[object] = []
    for at, value in enumerate(arguments):
        fill += [LoadImm64(R2, value & (1 << 64) - 1), StoreMem(FP, 8 * at - 40, R2, DW)]
    code = (
        *zero_stack(104),
        *fill,
        Mov.reg(R1, FP),
        Add.imm(R1, -104),
        Mov.imm(R2, room),
        LoadMapValue(R3, "formats"),
        Mov.reg(R4, FP) if arguments else Mov.imm(R4, 0),
        *((Add.imm(R4, -40),) if arguments else ()),
        Mov.imm(R5, 8 * len(arguments)),
        helper("snprintf"),
        *out(0, R0),
        *keep_stack(104, 8),
        *END,
    )
    found = []
    for engine in (KernelEngine(), VmEngine()):
        try:
            with loaded(engine, code, P.SCHED_CLS, [OUT, formats]) as made:
                made.run(IPV4)
                found.append(made.out())
        except VerifierError:  # it checks the format as the program would, and answers with -EINVAL at once
            found.append(u64(-22))
    assert found[1][: len(found[0])] == found[0]
