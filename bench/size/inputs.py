"""What the pairs run on: packets as they come, cut short, and noise; records of events. The same for the same seed.

Addresses, ports and protocols come from small pools, so that lookups hit and counters meet.
"""

from __future__ import annotations

from random import Random

from bench.size.pairs import hook
from purebpf.lang.tracepoints import event_fields
from purebpf.net import ARPOP_REPLY, ARPOP_REQUEST, ICMP, TCP, UDP, VXLAN, Arp, Ethernet, IPv4, IPv6, Vlan
from purebpf.program import Program
from purebpf.tables.enums import ProgramType

MACS = [bytes((2, 0, 0, 0, 0, n)) for n in range(1, 5)] + [b"\xff" * 6, b"\x01\x80\xc2\0\0\x0e"]
ADDRESSES = [0x0A000001 + n for n in range(6)] + [0xC0A80101, 0xAC100203, 0x7F000001, 0xFFFFFFFF, 0xE0000001]
ADDRESSES6 = [bytes.fromhex("20010db8") + bytes(11) + bytes((n,)) for n in range(4)] + [b"\xfe\x80" + bytes(13) + b"\x01"]
PORTS = [22, 53, 80, 123, 443, 4789, 8080, 9999, 40000, 65535, 1]
PAYLOADS = [
    b"",
    b"GET /index.html HTTP/1.1\r\nHost: example.com\r\n\r\n",
    b"POST /api HTTP/1.1\r\n\r\n",
    b"HEAD / HTTP/1.0\r\n\r\n",
    b"PUT /x HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01",
    b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x03www\x06python\x03org\x00\x00\x1c\x00\x01" + bytes(16),
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"a needle in a haystack, and another needle here",
    bytes(range(64)),
    b"\xff" * 48,
]
SMALLEST = {b"\x08\x00": 34, b"\x86\xdd": 54}  # test runs on an skb want a whole IP header where the frame says there is one


def internet_sum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def payload(rng: Random) -> bytes:
    return rng.choice(PAYLOADS) if rng.random() < 0.7 else rng.randbytes(rng.randrange(80))


def transport(rng: Random, depth: int) -> tuple[int, bytes]:
    """(protocol, bytes) of what an IP packet carries."""
    data = payload(rng)
    kind = rng.choice(["tcp"] * 4 + ["udp"] * 4 + ["icmp", "icmp", "gre", "vxlan", "other"])
    source, dest = rng.choice(PORTS), rng.choice(PORTS)
    if kind == "tcp":
        options = rng.choice([0, 0, 1, 3, 5, 10])
        flags = {name: int(rng.random() < 0.35) for name in ("fin", "syn", "rst", "psh", "ack", "urg")}
        seq, ack = rng.getrandbits(32), rng.getrandbits(32)
        header = TCP(source=source, dest=dest, seq=seq, ack_seq=ack, doff=5 + options, window=rng.getrandbits(16), **flags)
        header.check = rng.getrandbits(16)
        return 6, header.to_bytes() + rng.randbytes(4 * options) + data
    if kind == "icmp":
        echo = ICMP(type=rng.choice([8, 8, 0, 3, 11]), code=rng.choice([0, 0, 1]), id=rng.getrandbits(16), sequence=1)
        echo.checksum = internet_sum(echo.to_bytes() + data)
        return rng.choice([1, 1, 58]), echo.to_bytes() + data
    if kind == "gre":
        flags = rng.choice([0, 0x2000, 0x8000, 0x3000, 0xB000])
        words = sum(bool(flags & bit) for bit in (0x8000, 0x2000, 0x1000))
        return 47, flags.to_bytes(2, "big") + b"\x08\x00" + rng.randbytes(4 * words) + network(rng, 1)[1]
    if kind == "vxlan" and depth == 0:
        vni = rng.choice([1, 42, 5000, 0xFFFFFF]) << 8
        data = VXLAN(flags=rng.choice([0x08000000, 0x08000000, 0]), vni=vni).to_bytes() + frame(rng, 1)
        dest = rng.choice([4789, 4789, 4789, 8472])
    elif kind == "other":
        return rng.choice([2, 4, 41, 50, 132, 200]), data
    return 17, UDP(source=source, dest=dest, len=8 + len(data), check=rng.choice([0, rng.getrandbits(16)])).to_bytes() + data


def network(rng: Random, depth: int) -> tuple[int, bytes]:
    """(EtherType, bytes) of what a frame carries."""
    kind = rng.choice(["ip"] * 7 + ["ip6"] * 3 + ["arp", "other"])
    if kind == "arp":
        addresses = {"sip": rng.choice(ADDRESSES).to_bytes(4, "big"), "tip": rng.choice(ADDRESSES).to_bytes(4, "big")}
        op = rng.choice([ARPOP_REQUEST, ARPOP_REPLY])
        return 0x0806, Arp(hrd=1, pro=0x0800, hln=6, pln=4, op=op, sha=rng.choice(MACS), **addresses).to_bytes()
    if kind == "other":
        return rng.choice([0x88CC, 0x8847, 0x0600, 46]), rng.randbytes(rng.randrange(60))
    protocol, data = transport(rng, depth)
    if kind == "ip6":
        before, first = extensions(rng, protocol)
        fields = {"saddr": rng.choice(ADDRESSES6), "daddr": rng.choice(ADDRESSES6), "hop_limit": rng.choice([1, 64, 255])}
        size = min(len(before) + len(data), 0xFFFF)
        return 0x86DD, IPv6(version=6, nexthdr=first, payload_len=size, **fields).to_bytes() + before + data
    options = rng.choice([0, 0, 0, 0, 1, 3, 10])
    header = IPv4(version=4, ihl=5 + options, tos=rng.choice([0, 0x10, 0xB8, 0xFF]), ttl=rng.choice([0, 1, 2, 64, 128, 255]))
    header.protocol, header.tot_len, header.id = protocol, 20 + 4 * options + len(data), rng.getrandbits(16)
    header.frag_off = rng.choice([0, 0, 0, 0x4000, 0x2000, 0x00B9])
    header.saddr, header.daddr = rng.choice(ADDRESSES), rng.choice(ADDRESSES)
    words = rng.randbytes(4 * options)
    header.check = internet_sum(header.to_bytes() + words)
    return 0x0800, header.to_bytes() + words + data


def extensions(rng: Random, last: int) -> tuple[bytes, int]:
    """IPv6 extension headers in front of protocol `last`: their bytes, and the first one's number."""
    kinds = [rng.choice([0, 43, 60, 44]) for _ in range(rng.choice([0, 0, 0, 1, 2, 3]))]
    made = b""
    for kind, following in zip(kinds, [*kinds, last][1:], strict=True):
        units = 0 if kind == 44 else rng.choice([0, 0, 1, 2])
        made += bytes((following, units)) + rng.randbytes(6 + 8 * units)
    return made, kinds[0] if kinds else last


def frame(rng: Random, depth: int = 0) -> bytes:
    """A whole Ethernet frame."""
    proto, data = network(rng, depth)
    tags = rng.choice([[], [], [], [0x8100], [0x88A8, 0x8100]])
    for tag in reversed(tags):
        data = Vlan(tci=rng.choice([1, 100, 0x2064, 0xEFFF]), proto=proto).to_bytes() + data
        proto = tag
    return Ethernet(dst=rng.choice(MACS), src=rng.choice(MACS), proto=proto).to_bytes() + data


def packets(rng: Random, count: int) -> list[bytes]:
    """Frames, every third one cut short, every tenth one with noise; at least 14 bytes each."""
    made = []
    for n in range(count):
        data = bytearray(frame(rng))
        if n % 3 == 1:
            del data[rng.randrange(14, max(15, min(len(data), 90))) :]
        if n % 10 == 3:
            for _ in range(3):
                data[rng.randrange(len(data))] = rng.getrandbits(8)
        made.append(bytes(data[:1400]).ljust(14, b"\0"))
    return made


def contexts(program: Program, rng: Random, count: int) -> list[bytes]:
    """Records of a program's event: small and large numbers in all fields."""
    if program.kind.type == ProgramType.TRACEPOINT:
        size = max(f.offset + f.type.size for f in event_fields(program.hook).values() if f.type is not None)
    else:
        size = 184  # struct bpf_perf_event_data

    def number() -> bytes:
        return rng.choice([0, 1, 2, 5, -1, -2, rng.getrandbits(16), rng.getrandbits(63)]).to_bytes(8, "little", signed=True)

    return [b"".join(number() for _ in range(0, size, 8)) for _ in range(count)]


def inputs(program: Program, seed: int, count: int) -> list[tuple[bytes | None, bytes | None]]:
    """(packet, context) for each run of a pair's program."""
    rng = Random(seed)
    if program.kind.packet:
        extra = hook(program, "packets")
        made = packets(rng, count) + (extra(rng) if extra else [])
        if program.kind.type != ProgramType.XDP:
            made = [packet for packet in made if len(packet) >= SMALLEST.get(packet[12:14], 14)]
        rng.shuffle(made)
        return [(packet, None) for packet in made]
    own = hook(program, "contexts")
    return [(None, context) for context in (own(rng) if own else contexts(program, rng, count))]
