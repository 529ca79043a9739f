"""Follows TCP sockets through their states: how many are in each, and how long connecting took."""

from random import Random

import purebpf as bpf
from purebpf import u64

TCP_ESTABLISHED, TCP_SYN_SENT = 1, 2
IPPROTO_TCP = 6
states = bpf.Array[u64](max_entries=16)
asked = bpf.Hash[u64, u64](max_entries=4096)
waited = bpf.PerCpuArray[u64](max_entries=2)  # nanoseconds, connections


@bpf.tracepoint("sock/inet_sock_set_state")
def tcp_states(ctx: bpf.TracepointContext) -> None:
    if ctx.protocol != IPPROTO_TCP:
        return
    old, new = ctx.oldstate, ctx.newstate
    if 0 <= old < 16:
        states[old] -= 1
    if 0 <= new < 16:
        states[new] += 1
    socket: u64 = ctx.skaddr
    if new == TCP_SYN_SENT:
        asked[socket] = bpf.ktime()
        return
    start = asked.get(socket)
    if start is None:
        return
    if new == TCP_ESTABLISHED:
        waited[0] += u64(bpf.ktime() - start)
        waited[1] += 1
    del asked[socket]


def contexts(rng: Random) -> list[bytes]:
    """Sockets that connect, and others."""
    made = []
    for _ in range(400):
        states_ = rng.choice([(7, 2), (2, 1), (2, 1), (1, 4), (12, 1), (-1, 16), (10, 7)])
        numbers = b"".join(each.to_bytes(4, "little", signed=True) for each in states_)
        socket = (0xFFFF888000000000 + rng.randrange(5) * 64).to_bytes(8, "little")
        made.append(bytes(8) + socket + numbers + bytes(6) + rng.choice([6, 6, 6, 132]).to_bytes(2, "little") + bytes(40))
    return made
