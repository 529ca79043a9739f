"""Runs of one program on a packet or a context, as the kernel's test run does them (net/bpf/test_run.c).

Frames have at least 14 bytes. Programs at the traffic control layer see the frame from its Ethernet header, socket filters,
cgroup and LWT programs from the network header; what comes back of the latter begins with 14 zeros, as from the kernel. An
XDP frame lies in one piece whatever its size (the kernel's first piece has at most 3,520 bytes).
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Protocol

from purebpf.data import data
from purebpf.engine import RunResult
from purebpf.errors import Error, Unsupported
from purebpf.spec import ProgramSpec
from purebpf.tables.contexts import ContextKind, context
from purebpf.tables.enums import ProgramType
from purebpf.vm import contexts, sockets
from purebpf.vm.facts import EINVAL, fact, kernel_error
from purebpf.vm.lock_helpers import fire
from purebpf.vm.machine import Machine
from purebpf.vm.memory import CONTEXT, SHIFT, SOCKET
from purebpf.vm.packet import ETHERNET, FRAME_INFO, HEADROOM, SkbPacket, XdpPacket

LARGEST_GIVEN_META = HEADROOM - FRAME_INFO
CONTEXT_ADDRESS = CONTEXT << SHIFT
LOOPBACK = 1  # the interface that packets of a test run come from unless the context names one
MOST_SEGMENTS = 0xFFFF  # GSO_MAX_SEGS
LEAST_TYPE = 0x600  # below it is the length of an IEEE 802.3 frame


@data
class SkbRun:
    """How a program type sees a socket buffer: from the link header on, by direct access, and whether that may write."""

    link: bool = False
    direct: bool = False
    writable: bool = False


SKB_RUNS = {
    ProgramType.SCHED_CLS: SkbRun(link=True, direct=True, writable=True),
    ProgramType.SCHED_ACT: SkbRun(link=True, direct=True, writable=True),
    ProgramType.SOCKET_FILTER: SkbRun(),
    ProgramType.CGROUP_SKB: SkbRun(direct=True),
    ProgramType.LWT_IN: SkbRun(direct=True),
    ProgramType.LWT_OUT: SkbRun(direct=True),
    ProgramType.LWT_XMIT: SkbRun(direct=True, writable=True),
    ProgramType.LWT_SEG6LOCAL: SkbRun(),
}
NO_CONTEXT_BACK = frozenset({ProgramType.RAW_TRACEPOINT, ProgramType.RAW_TRACEPOINT_WRITABLE})


class Runnable(Protocol):
    """What runs: a program's `Code`, or something that stands for it."""

    @property
    def machine(self) -> Machine: ...
    @property
    def main(self) -> Callable[..., int]:
        """It as a Python function."""

    def run(self, main: Callable[..., int], *arguments: int) -> int:
        """The result of a run, 64 bits."""


Outcome = tuple[bytes, bytes]
"""Packet and context as a run leaves them."""


def refuse(type: ProgramType) -> str | None:
    """Why programs of a type cannot be run here, or None."""
    if type in SKB_RUNS or type is ProgramType.XDP:
        return None
    if type in (ProgramType.EXT, ProgramType.UNSPEC):
        return "it has no context of its own"
    # A socket that may be absent reads as a null pointer; anything else that is pointed to would have to be made up.
    found = context(type)
    needed = [] if found is None else [name for name in contexts.pointers(type) if not found.fields[name].nullable]
    return f"the virtual machine cannot make what `{needed[0]}` of its context points to" if needed else None


def run(code: Runnable, spec: ProgramSpec, data: bytes | None, given: bytes | None, repeat: int) -> RunResult:
    """One run, or `repeat` on the same packet and context. Raises VmError, Error, KernelError and Unsupported."""
    what = f"A run of the program {spec.name!r}"
    if repeat < 1:
        raise Error(f"{what} with repeat={repeat}: it is run at least once.")
    reason = refuse(spec.type)
    if reason:
        raise Unsupported(f"A {spec.type.name.lower()} program such as {spec.name!r} cannot be run here: {reason}.")
    found = context(spec.type)
    code.machine.fields = () if found is None else tuple(found.fields.values())
    main = code.main  # compiled before the clock runs
    lines = code.machine.trace.added
    try:
        finish = start(code.machine, spec.type, data, given, what)
        begun = perf_counter_ns()
        for _ in range(repeat):
            value = code.run(main, CONTEXT_ADDRESS)
        duration = (perf_counter_ns() - begun) // repeat
        packet, after = finish()
        fire(code.machine, code)
    finally:
        end(code.machine)
    return RunResult(value & 0xFFFF_FFFF, packet, b"" if given is None else after, duration, code.machine.trace.since(lines))


def start(machine: Machine, type: ProgramType, data: bytes | None, given: bytes | None, what: str) -> Callable[[], Outcome]:
    """Put packet and context in place; what to call for the outcome."""
    if given == b"" and (type in SKB_RUNS or type is ProgramType.XDP):
        raise kernel_error(EINVAL, what, reason="The context that was given is empty; leave it out for one of zeros.")
    if type is ProgramType.XDP:
        return start_xdp(machine, frame(data, what), given, what)
    if type in SKB_RUNS:
        return start_skb(machine, frame(data, what), given, SKB_RUNS[type], what)
    if data is not None:
        raise Unsupported(f"{what} was given a packet; a {type.name.lower()} program takes only a context.")
    return start_context(machine, type, given, what)


def end(machine: Machine) -> None:
    """Take packet and context away."""
    if machine.packet is not None:
        machine.packet.remove()
        machine.packet = None
    machine.memory.unmap(CONTEXT)
    machine.memory.unmap(SOCKET)


def frame(data: bytes | None, what: str) -> bytes:
    if data is None:
        return bytes(ETHERNET)
    if len(data) < ETHERNET:
        raise Error(f"{what}: the packet has {len(data)} bytes; the least is a frame of {ETHERNET}, an Ethernet header.")
    return data


def start_context(machine: Machine, type: ProgramType, given: bytes | None, what: str) -> Callable[[], Outcome]:
    """A run without packet: of a context structure, or of bytes as they are."""
    found = context(type)
    if found is not None and found.kind is ContextKind.STRUCT:
        memory, writable = contexts.padded(given or b"", found.size, what), False
    else:
        memory, writable = bytearray(given or b""), found is not None and found.kind is ContextKind.MEMORY
    machine.memory.map(CONTEXT, memory, writable=writable)
    return lambda: (b"", b"" if type in NO_CONTEXT_BACK else bytes(memory))


def start_xdp(machine: Machine, data: bytes, given: bytes | None, what: str) -> Callable[[], Outcome]:
    """A frame; the context may say that it begins with metadata (`data` is how many bytes) and where it came from."""
    fields = contexts.places(contexts.XDP)
    memory = contexts.padded(given or b"", contexts.size(contexts.XDP), what)
    if given is not None:
        contexts.settable(memory, contexts.XDP, contexts.XDP_SETTABLE, what)
    before = bytes(memory)

    def given_field(name: str) -> int:
        place = fields[name]
        return machine.integer(before[place.offset : place.offset + place.size])

    meta, source, queue = (given_field(name) for name in ("data", "ingress_ifindex", "rx_queue_index"))
    if given is not None and (given_field("data_end") != len(data) or meta > len(data)):
        reason = (
            f"`data_end` of the context is the packet's length, here {len(data)}, and `data` that of the metadata at its front."
        )
        raise kernel_error(EINVAL, what, reason=reason)
    if meta % 4 or meta > LARGEST_GIVEN_META or len(data) - meta < ETHERNET:
        raise kernel_error(
            EINVAL, what, reason=f"{meta} bytes of metadata are not possible: a multiple of 4, at most {LARGEST_GIVEN_META}."
        )
    if queue and not source:
        raise kernel_error(EINVAL, what, reason="The context names a receive queue but no interface (`ingress_ifindex`).")
    machine.memory.map(CONTEXT, memory, writable=False)
    machine.packet = packet = XdpPacket(machine, data, meta, fields)
    packet.set("ingress_ifindex", source or LOOPBACK)

    def finish() -> Outcome:
        after = bytearray(before)
        for name, value in (("data", packet.meta), ("data_end", len(packet.content))):
            place = fields[name]
            after[place.offset : place.offset + place.size] = machine.bytes(value, place.size)
        return bytes(packet.content), bytes(after)

    return finish


def start_skb(machine: Machine, data: bytes, given: bytes | None, how: SkbRun, what: str) -> Callable[[], Outcome]:
    """A socket buffer of a frame that has just come in by the loopback interface, or by the one the context names."""
    fields = contexts.places(contexts.SKB)
    memory = contexts.padded(given or b"", contexts.size(contexts.SKB), what)
    if given is not None:
        contexts.settable(memory, contexts.SKB, contexts.SKB_SETTABLE, what)
    before = bytes(memory)
    machine.memory.map(CONTEXT, memory, writable=False)
    content, link = (data, b"") if how.link else (data[ETHERNET:], data[:ETHERNET])
    packet = SkbPacket(machine, content, link, fields, direct=how.direct, writable=how.writable)
    machine.packet = packet
    wire = packet.get("wire_len")
    if wire and wire < len(content):
        raise kernel_error(
            EINVAL, what, reason=f"`wire_len` of the context, {wire}, is less than the packet's {len(content)} bytes."
        )
    if given is not None and not wire:
        packet.set("wire_len", len(content))
    if packet.get("gso_segs") > MOST_SEGMENTS:
        raise kernel_error(EINVAL, what, reason=f"`gso_segs` of the context is more than {MOST_SEGMENTS}.")
    packet.set("ifindex", packet.get("ifindex") or LOOPBACK)
    packet.set("sk", sockets.place(machine))
    protocol = link_protocol(data)
    network = NETWORKS.get(protocol)
    if network is not None:
        if len(data) - ETHERNET < network.header:
            reason = f"The frame says it is {network.suffix}, but has no room for that header, {network.header} bytes."
            raise kernel_error(EINVAL, what, reason=reason)
        set_socket(packet, network, data[ETHERNET:])
    packet.set("protocol", machine.integer(protocol.to_bytes(2, "big")))
    packet.set("pkt_type", addressee(data[:6]))

    def finish() -> Outcome:
        after = bytearray(before)
        for name in contexts.SKB_RETURNED:
            place = fields[name]
            after[place.offset : place.offset + place.size] = memory[place.offset : place.offset + place.size]
        return bytes(ETHERNET if packet.link else 0) + packet.data, bytes(after)

    return finish


def link_protocol(data: bytes) -> int:
    """What eth_type_trans() takes a frame for."""
    kind = int.from_bytes(data[12:14], "big")
    if kind >= LEAST_TYPE:
        return kind
    return fact("ETH_P_802_3") if data[14:16] == b"\xff\xff" else fact("ETH_P_802_2")


def addressee(destination: bytes) -> int:
    """Whom a frame is for, as the loopback interface sees it: its address is all zeros, and so is its broadcast address."""
    if destination == bytes(6):
        return fact("PACKET_HOST")
    return fact("PACKET_MULTICAST") if destination[0] & 1 else fact("PACKET_OTHERHOST")


@data
class Network:
    """A network protocol: its family, where the addresses are in its header, the fields' suffix."""

    family: int
    header: int
    start: int
    size: int
    suffix: str


NETWORKS = {
    fact("ETH_P_IP"): Network(fact("AF_INET"), 20, 12, 4, "ip4"),
    fact("ETH_P_IPV6"): Network(fact("AF_INET6"), 40, 8, 16, "ip6"),
}


def set_socket(packet: SkbPacket, network: Network, data: bytes) -> None:
    """The socket's side of the context: the test run gives its socket the packet's addresses, its source as the local one."""
    packet.set("family", network.family)
    sockets.set_field(packet.machine, "family", packet.machine.bytes(network.family, 4))
    ends = (("local", "src", network.start), ("remote", "dst", network.start + network.size))
    for side, of_socket, start in ends:
        address = data[start : start + network.size]
        packet.place_bytes(f"{side}_{network.suffix}", address)
        sockets.set_field(packet.machine, f"{of_socket}_{network.suffix}", address)
