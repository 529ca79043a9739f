"""One cycle of each kind of link: load, attach, have it run where that is cheap, detach, close."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import purebpf as bpf
from tests.kernel.netns import send
from tests.soak import programs

HERE = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where programs are attached: interfaces of a network namespace and a cgroup, all the soak's own."""

    interface: str
    other: str
    cgroup: str


Holder = Callable[[Place], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Kind:
    """`hold` attaches; `run` makes the program run once; `linked` says that the kernel takes it away when the process dies."""

    name: str
    hold: Holder
    run: Callable[[Place], object] | None = None
    linked: bool = True


def plain(program: bpf.Program, **options: object) -> Holder:
    return lambda place: program.attach(engine="kernel", **options)


def on_interface(program: bpf.Program, **options: object) -> Holder:
    return lambda place: program.attach(place.interface, engine="kernel", **options)


def in_cgroup(program: bpf.Program, **options: object) -> Holder:
    return lambda place: program.attach(place.cgroup, engine="kernel", **options)


def on_map(program: bpf.Program) -> Holder:
    @contextmanager
    def hold(place: Place) -> Iterator[None]:
        with bpf.load(program, engine="kernel"), program.attach(programs.soak_sockets):
            yield

    return hold


@contextmanager
def filtered(place: Place) -> Iterator[None]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made, programs.soak_filter.attach(made, engine="kernel"):
        yield


@contextmanager
def chosen(place: Place) -> Iterator[None]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((HERE, 0))
        with programs.soak_reuse.attach(made, engine="kernel"):
            yield


@contextmanager
def iterated(place: Place) -> Iterator[None]:
    with programs.soak_tasks.attach(engine="kernel") as attached:
        attached.read()
        yield


@contextmanager
def operated(place: Place) -> Iterator[None]:
    with bpf.register(programs.soak_control):
        yield


def routed(place: Place) -> AbstractContextManager[object]:
    return programs.soak_route.attach("192.0.2.0/24", place.interface, engine="kernel")


def packet(place: Place) -> None:
    send(place.other, bytes(60))


def call(place: Place) -> None:
    os.getpgid(0)


def function(place: Place) -> None:
    ctypes.CDLL(None).labs(3)


KINDS = (
    Kind("xdp", on_interface(programs.soak_xdp, mode="generic"), packet),
    Kind("xdp by netlink", on_interface(programs.soak_xdp, mode="generic", replace=True), packet, linked=False),
    Kind("tcx", on_interface(programs.soak_tc), packet),
    Kind("tcx egress", on_interface(programs.soak_tc, direction="egress")),
    Kind("clsact", on_interface(programs.soak_tc, priority=7), packet, linked=False),
    Kind("tracepoint", plain(programs.soak_event), call),
    Kind("raw tracepoint", plain(programs.soak_raw), call),
    Kind("tp_btf", plain(programs.soak_typed), call),
    Kind("perf event", plain(programs.soak_clock, event="cpu-clock", frequency=1000, pid=0)),
    Kind("kprobe", plain(programs.soak_kprobe), call),
    Kind("kprobe multi", plain(programs.soak_kprobes), call),
    Kind("uprobe", plain(programs.soak_uprobe, pid=0), function),
    Kind("uretprobe", plain(programs.soak_uretprobe, pid=0), function),
    Kind("uprobe multi", plain(programs.soak_uprobes, pid=0), function),
    Kind("fentry", plain(programs.soak_fentry), call),
    Kind("lsm", plain(programs.soak_lsm)),
    Kind("lsm_cgroup", in_cgroup(programs.soak_lsm_cg)),
    Kind("iter", iterated),
    Kind("socket filter", filtered),
    Kind("cgroup_skb", in_cgroup(programs.soak_egress)),
    Kind("cgroup_skb, multi", in_cgroup(programs.soak_egress, mode="multi"), linked=False),
    Kind("cgroup_sock", in_cgroup(programs.soak_create)),
    Kind("cgroup_sock_addr", in_cgroup(programs.soak_connect)),
    Kind("cgroup_device", in_cgroup(programs.soak_device)),
    Kind("cgroup_sysctl", in_cgroup(programs.soak_sysctl)),
    Kind("cgroup_sockopt", in_cgroup(programs.soak_sockopt)),
    Kind("sockops", in_cgroup(programs.soak_ops)),
    Kind("sk_msg", on_map(programs.soak_msg)),
    Kind("sk_skb", on_map(programs.soak_verdict)),
    Kind("sk_lookup", plain(programs.soak_lookup)),
    Kind("sk_reuseport", chosen),
    Kind("flow_dissector", plain(programs.soak_flow)),
    Kind("route", routed, linked=False),
    Kind("netfilter", plain(programs.soak_nf, family="ipv4", hook="input", priority=-7)),
    Kind("struct_ops", operated),
)
HELD = Kind("held", on_interface(programs.soak_held))  # by a process that is to be killed


def cycle(kind: Kind, place: Place) -> None:
    """Load, attach, run, detach, close."""
    with kind.hold(place):
        if kind.run is not None:
            kind.run(place)
