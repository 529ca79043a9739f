# mypy: disable-error-code="no-untyped-def"
"""Bytes of the packet by copy, also from its paged part: `ctx.packet.load`, `store` and slices."""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf import be16, u8, u16, u32, u64
from purebpf.net import Ethernet
from tests.compiler.results import ENGINES, Function, Table, check, check_ir

case = Table()
PACKET = bytes(range(64))


@bpf.struct
class Piece:
    head: be16 = 0
    tail: bytes = bpf.bytes(4)


pieces = bpf.Array[Piece](max_entries=2)
facts = bpf.Array[u64](max_entries=8)


@case(1, PACKET)
def loaded(ctx):
    number, piece = ctx.packet.load(60, u32), ctx.packet.load(2, Piece)
    if number is None or piece is None:
        return 0
    return number == 0x3F3E3D3C and piece.head == 0x0203 and piece.tail == b"\4\5\6\7"


@case(1, PACKET)
def too_short(ctx):
    n = len(ctx.packet)
    return (
        ctx.packet.load(n - 3, u32) is None and ctx.packet.load(n - 70, u8) is None and ctx.packet.load(n - 1, u8) is not None
    )


@case(0x0A0B, PACKET)
def stored(ctx):
    piece = Piece(head=0x0A0B, tail=b"wxyz")
    if ctx.packet.store(20, piece) != 0 or ctx.packet.store(30, b"abc") != 0 or ctx.packet.store(62, piece) == 0:
        return 0
    found, text = ctx.packet.at(20, Piece), ctx.packet[29:34]
    if found is None or text is None or text != b"\x1dabc\x21":
        return 1
    return found.head


@case(1, PACKET)
def stored_where_it_was_read(ctx):
    before = ctx.packet.load(20, u16)
    seen = ctx.packet[20:22]
    old = seen is not None and seen == b"\x14\x15"
    ctx.packet.store(20, b"\1\2")
    after = ctx.packet.load(20, u16)
    return old and before is not None and after is not None and before == 0x1514 and after == 0x0201


@case(1, PACKET)
def a_record_of_the_packet_is_stored(ctx):
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or ctx.packet.store(32, eth) != 0:
        return 0
    copy = ctx.packet.at(32, Ethernet)
    first = ctx.packet.at(0, Ethernet)
    return copy is not None and first is not None and copy == first


@case(3, PACKET)
def sliced(ctx):
    first, last = ctx.packet[:6], ctx.packet[58:64]
    if first is None or last is None or ctx.packet[60:65] is not None:
        return 0
    first[0] = 3
    return first[0] + (last == b"\x3a\x3b\x3c\x3d\x3e\x3f") - 1


@case.parametrize()
def test_result(function: Function, expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize("row", case.rows, ids=[row[0].__name__ for row in case.rows])
def test_ir_interpreter(row: tuple[Function, int, bytes]) -> None:
    check_ir(*row)


@bpf.tc
def tc(ctx):
    piece = ctx.packet.load(20, Piece)
    if piece is None:
        return bpf.TC_ACT_SHOT
    pieces[0] = piece
    piece = Piece(head=1, tail=b"abcd")
    facts[0] = ctx.packet.store(30, piece) == 0
    facts[1] = ctx.packet.store(40, piece, flags=bpf.BPF_F_RECOMPUTE_CSUM) == 0
    facts[2] = ctx.packet.store(60, piece) == -14
    facts[3] = ctx.packet.load(61, u32) is None
    text = ctx.packet[31:36]
    facts[4] = text is not None and text == b"\1abcd"
    return bpf.TC_ACT_OK


@bpf.socket_filter
def socket_filter(ctx):
    piece, text = ctx.packet.load(6, Piece), ctx.packet[8:12]
    if piece is None or text is None or ctx.packet.load(len(ctx.packet), u8) is not None or ctx.packet[48:51] is not None:
        return 0
    pieces[0] = piece
    return text == piece.tail


@pytest.mark.parametrize("how", [*ENGINES, "python"])
@pytest.mark.parametrize("program, result, written", [(tc, 0, True), (socket_filter, 1, False)], ids=["tc", "socket_filter"])
def test_buffers_of_sockets(program: bpf.Program, result: int, written: bool, how: str) -> None:
    with program.load("vm" if how == "python" else how):
        done = program.python(packet=PACKET) if how == "python" else program.run(packet=PACKET)
        assert done.value == result
        assert pieces[0] == Piece(head=0x1415, tail=b"\x16\x17\x18\x19")
        if written:
            assert [facts[i] for i in range(5)] == [1] * 5
            assert done.data[30:36] == done.data[40:46] == b"\0\1abcd"
