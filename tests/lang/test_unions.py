"""Unions: fields that share their bytes, in user space and in programs."""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf import be32, u8, u16, u32, u64

ENGINES = ("vm", pytest.param("kernel", marks=pytest.mark.kernel))


@bpf.struct
class Pair:
    x: u16 = 0
    y: u16 = 0


@bpf.union
class Address:
    number: u32 = 0
    network: be32 = 0
    raw: bytes = bpf.bytes(6)
    pair: Pair = Pair()
    low: u8 = bpf.bits(3)
    parts: list[u16] = bpf.array(u16, 2)
    name: str = bpf.chars(5)

    def is_zero(self) -> bool:
        return self.number == 0


@bpf.struct
class Record:
    kind: u8 = 0
    address: Address = Address()
    total: u64 = 0


records = bpf.Array[Record](max_entries=1)


def test_all_fields_begin_at_the_same_byte() -> None:
    assert Address.__bpf_type__.size == 8  # type: ignore[attr-defined]  # the longest has 6 bytes, the alignment is 4
    assert Address(number=0x00020001).to_bytes() == bytes.fromhex("0100020000000000")
    assert Record.__bpf_type__.size == 24  # type: ignore[attr-defined]
    a = Address(network=0x0A000001)
    assert (a.number, a.raw, a.pair, list(a.parts), a.low) == (0x0100000A, b"\x0a\0\0\1\0\0", Pair(x=10, y=256), [10, 256], 2)


def test_attributes_are_written_in_place() -> None:
    a = Address()
    a.pair.y = 3
    a.parts[0] = 7
    a.low = 1
    assert a.number == 0x00030001
    assert a == Address(number=0x00030001) == Address.from_bytes(a.to_bytes())  # type: ignore[attr-defined]
    assert hash(a) == hash(Address(number=0x00030001))
    a.name = "ab"
    assert a.number == 0x00006261
    assert a.is_zero() is False
    with pytest.raises(ValueError, match=r"Address\.number: .* does not fit u32"):
        a.number = 1 << 32


def test_a_constructor_takes_one_field() -> None:
    with pytest.raises(TypeError, match="Address is a union: give one of number, raw"):
        Address(number=1, raw=bytes(6))
    with pytest.raises(TypeError, match="Address has no field `nubmer`; its fields are number, network"):
        Address(nubmer=1)  # type: ignore[call-arg]


def test_defaults_are_zero() -> None:
    with pytest.raises(bpf.Error, match=r"A\.b: a field of a union has no default but 0"):

        @bpf.union
        class A:
            a: u8 = 0
            b: u8 = 1


@bpf.xdp
def program(ctx: bpf.XdpContext) -> int:
    r = records[0]
    r.address = Address(pair=Pair(x=1, y=2))
    if r.address.number != 0x20001 or r.address.is_zero():
        return 1
    r.address.number = 0x30004
    if r.address.pair.y != 3 or r.address.parts[len(ctx.packet) & 1] != 4:
        return 2
    raw = r.address.raw
    r.address.number = 0
    if raw != b"\x04\0\x03\0\0\0":
        return 3
    r.address.low = 5
    if r.address != Address(number=5):
        return 4
    other = Address(low=3)
    r.address = other
    other.number = 9
    if r.address.raw[0] != 3:
        return 5
    if r.address.number == 3:
        r.address.parts[0] = 6
        if r.address.number == 3:
            return 6
    r.address.network = 0x7F000001
    r.total = r.address.number
    return 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_program_sees_the_same_bytes(engine: str) -> None:
    with program.load(engine):
        assert program.run(packet=bytes(64), engine=engine).value == 0
        assert records[0].total == 0x0100007F
        records[0] = Record(address=Address(raw=b"abcdef"))
        assert records[0].address.raw == b"abcdef"
