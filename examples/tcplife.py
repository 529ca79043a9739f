"""The life of each TCP connection: who had it, with whom, how long. Needs root and Linux 5.8.

python examples/tcplife.py
PID    COMM          LOCAL                 REMOTE                MS
2190   curl          10.0.0.5:51324        93.184.216.34:443     182.4
"""

from __future__ import annotations

import ipaddress
import sys

import purebpf as bpf
from purebpf import be32, u16, u32, u64

AF_INET = 2
TCP_ESTABLISHED, TCP_CLOSE, TCP_SYN_SENT, TCP_LAST_ACK = 1, 7, 2, 9
IPPROTO_TCP = 6


@bpf.struct
class Birth:
    at: u64
    pid: u32
    comm: str = bpf.chars(16)


@bpf.struct
class Life:
    nanoseconds: u64
    pid: u32
    local: be32
    remote: be32
    sport: u16
    dport: u16
    comm: str = bpf.chars(16)


@bpf.config
class settings:
    only_pid: u32 = 0  # 0: all


births = bpf.LruHash[u64, Birth](max_entries=10240)  # by the address of the socket
lives = bpf.RingBuf[Life](size=1 << 16)


@bpf.tracepoint("sock/inet_sock_set_state")
def state_changed(ctx: bpf.TracepointContext) -> None:
    if ctx.protocol != IPPROTO_TCP or ctx.family != AF_INET:
        return
    key = ctx.skaddr
    if ctx.newstate == TCP_SYN_SENT or ctx.newstate == TCP_LAST_ACK:  # here the process itself is at work
        born = births.get(key)
        if born is None:
            births[key] = Birth(at=bpf.ktime(), pid=bpf.current.tgid, comm=bpf.current.comm)
    elif ctx.newstate == TCP_ESTABLISHED:
        if key not in births:
            births[key] = Birth(at=bpf.ktime(), pid=bpf.current.tgid, comm=bpf.current.comm)
    elif ctx.newstate == TCP_CLOSE:
        born = births.get(key)
        if born is None:
            return
        if settings.only_pid == 0 or born.pid == settings.only_pid:
            lives.emit(
                Life(
                    nanoseconds=bpf.ktime() - born.at,
                    pid=born.pid,
                    local=int.from_bytes(ctx.saddr, "big"),
                    remote=int.from_bytes(ctx.daddr, "big"),
                    sport=ctx.sport,
                    dport=ctx.dport,
                    comm=born.comm,
                )
            )
        del births[key]


def main() -> None:
    settings.only_pid = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with state_changed.attach():
        print(f"{'PID':<7}{'COMM':<16}{'LOCAL':<23}{'REMOTE':<23}{'MS':>9}")
        for life in lives:
            local, remote = (ipaddress.IPv4Address(address) for address in (life.local, life.remote))
            ends = f"{f'{local}:{life.sport}':<23}{f'{remote}:{life.dport}':<23}"
            print(f"{life.pid:<7}{life.comm:<16}{ends}{life.nanoseconds / 1e6:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
