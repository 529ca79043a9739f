# mypy: disable-error-code="no-untyped-def"
"""Checksums and hashes: the same numbers from programs, from user space, and from the RFCs' and the kernel's own examples."""

from __future__ import annotations

import random
import struct

import pytest

import purebpf as bpf
from purebpf import be16, be32, u8, u16, u32, u64
from purebpf.net import UDP, Ethernet, IPv4
from tests.compiler.against_python import Function, Functions, check
from tests.compiler.results import ENGINES

case = Functions()
EXAMPLE = bytes.fromhex("45000073000040004011b861c0a80001c0a800c7")  # the IPv4 header of Wikipedia's example, its sum 0xB861
SEVEN = b"\x01\x02\x03\x04\x05\x06\x07"


@bpf.struct(packed=True)
class Odd:
    kind: u8 = 0
    size: be16 = 0
    address: be32 = 0


@bpf.struct
class Key:
    a: u32 = 0
    b: u32 = 0
    c: u32 = 0
    d: u32 = 0
    e: u16 = 0


sums = bpf.Array[u64](max_entries=32)
odds = bpf.Array[Odd](max_entries=1)
keys = bpf.Array[Key](max_entries=1)


@bpf.xdp
def of_headers(ctx):
    ip = ctx.packet.at(14, IPv4)
    if ip is None:
        return 1
    sums[0] = bpf.checksum(ip)
    saved = ip.check
    ip.check = 0
    sums[1] = bpf.checksum(ip)
    ip.check = saved
    old = ip.daddr
    ip.daddr = 0x0A01_02FE
    sums[2] = bpf.checksum_update(ip.check, old, ip.daddr)
    ip.check = bpf.checksum_update(ip.check, old, ip.daddr)
    sums[3] = bpf.checksum(ip)
    ttl = (ip.ttl << 8) + ip.protocol
    ip.ttl -= 1
    ip.check = bpf.checksum_update(ip.check, ttl, u16(ttl - 256))
    sums[4] = bpf.checksum(ip)
    sums[5] = bpf.checksum(UDP(source=1, dest=2, len=8), ip.saddr + ip.daddr + 17 + 8)
    sums[6] = bpf.checksum(odds[0])
    sums[7] = bpf.checksum(SEVEN)
    sums[8] = int.from_bytes(ip_address(ip), "big")
    sums[9] = ip.check
    return 0


def ip_address(ip):
    address = bpf.bytes(4)
    for i in range(4):
        address[i] = ip.daddr >> (24 - 8 * i)
    return address


@pytest.mark.parametrize("engine", ENGINES)
def test_checksums(engine: str) -> None:
    assert bpf.checksum(EXAMPLE) == 0
    assert bpf.checksum(EXAMPLE[:10] + bytes(2) + EXAMPLE[12:]) == 0xB861
    with of_headers.load(engine) as collection:
        collection.maps["odds"].update(bytes(4), bytes([1, 2, 3, 4, 5, 6, 7]))
        assert of_headers.run(packet=bytes(14) + EXAMPLE + bytes(30)).value == 0
        assert [sums[i] for i in (0, 1, 3, 4)] == [0, 0xB861, 0, 0]
        changed = EXAMPLE[:16] + bytes.fromhex("0a0102fe")
        assert sums[2] == bpf.checksum(changed[:10] + bytes(2) + changed[12:])
        pseudo = EXAMPLE[12:16] + bytes.fromhex("0a0102fe") + struct.pack(">HH", 17, 8)
        assert sums[5] == bpf.checksum(pseudo + struct.pack(">HHHH", 1, 2, 8, 0))
        assert sums[6] == sums[7] == bpf.checksum(SEVEN)
        assert sums[8] == 0x0A01_02FE


def test_an_update_is_the_checksum_of_the_changed_data() -> None:
    rng = random.Random(3)
    for _ in range(500):
        data = bytearray(rng.randbytes(20)) if rng.random() < 0.8 else bytearray(rng.choice([b"\0", b"\xff"]) * 20)
        data[10:12] = bytes(2)
        before, at = bpf.checksum(data), rng.choice([0, 4, 12, 16])
        old, new = int.from_bytes(data[at : at + 4], "big"), rng.choice([0, 0xFFFF_FFFF, rng.getrandbits(32)])
        data[at : at + 4] = new.to_bytes(4, "big")
        if any(data):
            assert bpf.checksum_update(before, old, new) == bpf.checksum(data)


# -- jhash: numbers from the kernel's algorithm, as include/linux/jhash.h defines it


def test_jhash_is_lookup3s() -> None:
    """From lookup3.c, driver5: hashlittle("Four score and seven years ago", 30, 0) is 0x17770551, with 1 it is 0xcd628161."""
    text = b"Four score and seven years ago"
    assert bpf.jhash(text, 0) == 0x17770551
    assert bpf.jhash(text, 1) == 0xCD628161
    assert bpf.jhash(b"", 0) == 0xDEADBEEF
    assert bpf.jhash((1, 2, 3), 5) == bpf.jhash(struct.pack("<3I", 1, 2, 3), 5)


@case
def hashes_of_numbers(n):
    a = bpf.jhash((n,), 7)
    b = bpf.jhash((n, n * 3, 5), n)
    c = bpf.jhash((n, n + 1, n + 2, n + 3, n << 20, 6, 7))
    d = bpf.jhash((1, 2, 3), 4)
    return a + 3 * b + 5 * c + 7 * d


@case
def updates_of_checksums(n):
    a = bpf.checksum_update(n % 5000, n % 777 + 1, 0xFFFF_FFFF - n % 999)
    b = bpf.checksum_update(0xFFFF - n % 2000, 0, u32(n))
    return a * 0x10000 + b


@case
def numbers_of_constant_bytes(n):
    return int.from_bytes(SEVEN, "big") % 1000 + int.from_bytes(b"\xff\x01", "little", signed=True) + n


@case.parametrize()
def test_the_same_numbers_in_user_space(engine: str, function: Function) -> None:
    check(engine, function)


@bpf.xdp
def of_memory(ctx):
    eth = ctx.packet.at(0, Ethernet)
    key, odd = keys[0], odds[0]
    if eth is None:
        return 1
    key.a, key.b, key.c, key.d, key.e = 1, 2, 3, 4, 5
    odd.kind, odd.size, odd.address = 9, 0x1234, 0x56789ABC
    local = bpf.bytes(5)
    local[0], local[3], local[4] = 200, 100, 50
    words = bpf.array(u32, 4)
    words[2] = 77
    sums[0] = bpf.jhash(key, 3)
    sums[1] = bpf.jhash(odd)
    sums[2] = bpf.jhash(eth)
    sums[3] = bpf.jhash(local, seed=len(ctx.packet))
    sums[4] = bpf.jhash(words, 1)
    sums[5] = int.from_bytes(eth.dst, "big")
    sums[6] = int.from_bytes(eth.dst, "little")
    sums[7] = int.from_bytes(local, "big", signed=True) & 0xFFFF_FFFF_FFFF
    sums[8] = bpf.checksum(eth.src)
    sums[9] = bpf.checksum(words, start=5)
    return 0


@pytest.mark.parametrize("engine", ENGINES)
def test_memory_is_hashed(engine: str) -> None:
    frame = bytes(range(64))
    local = bytes([200, 0, 0, 100, 50])
    words = struct.pack("<4I", 0, 0, 77, 0)
    with of_memory.load(engine):
        assert of_memory.run(packet=frame).value == 0
        assert [sums[i] for i in range(10)] == [
            bpf.jhash(Key(a=1, b=2, c=3, d=4, e=5), 3),
            bpf.jhash(Odd(kind=9, size=0x1234, address=0x56789ABC)),
            bpf.jhash(frame[:14]),
            bpf.jhash(local, 64),
            bpf.jhash(words, 1),
            0x000102030405,
            0x050403020100,
            int.from_bytes(local, "big", signed=True) & 0xFFFF_FFFF_FFFF,
            bpf.checksum(frame[6:12]),
            bpf.checksum(words, 5),
        ]
