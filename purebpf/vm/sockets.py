"""The socket of a test run: the kernel gives a packet one that was made for the run (net/bpf/test_run.c), closed, without
ports, whose addresses are the packet's, its source as the local one.
"""

from __future__ import annotations

from purebpf.vm.contexts import places, size
from purebpf.vm.facts import fact
from purebpf.vm.machine import Machine
from purebpf.vm.memory import SHIFT, SOCKET

STRUCT = "bpf_sock"
TCP_CLOSE = 7  # include/net/tcp_states.h
NO_QUEUE = 0xFFFF_FFFF


def place(machine: Machine) -> int:
    """Put it where the context points to; its address."""
    machine.memory.name(SOCKET, "the packet's socket, whose fields can only be read")
    machine.memory.map(SOCKET, bytearray(size(STRUCT)), writable=False)
    fields = {"state": TCP_CLOSE, "rx_queue_mapping": NO_QUEUE, "family": fact("AF_UNSPEC")}
    for name, value in fields.items():
        set_field(machine, name, machine.bytes(value, places(STRUCT)[name].size))
    return SOCKET << SHIFT


def set_field(machine: Machine, name: str, data: bytes) -> None:
    """Write a field as it lies in memory."""
    start = places(STRUCT)[name].offset
    machine.memory.readable[SOCKET][start : start + len(data)] = data


def sk_fullsock(vm: Machine, sk: int) -> int:
    return sk  # it is no listener's request and in no time-wait state


HELPERS = (sk_fullsock,)
