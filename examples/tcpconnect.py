"""TCP connections that processes ask for: who, from where, to whom, and how it began. Needs root and Linux 5.8 with BTF.

python examples/tcpconnect.py          one program where the function ends (fexit): the quick way
python examples/tcpconnect.py kprobe   two programs, a probe at its start and one at its end: where there is no fexit

PID    COMM            LOCAL                  REMOTE                 RESULT
2190   curl            10.0.0.5:51324         93.184.216.34:443      0
"""

from __future__ import annotations

import contextlib
import ipaddress
import sys
from collections.abc import Iterator

import purebpf as bpf
from purebpf import be32, s32, u16, u32, u64
from purebpf.vmlinux import sock


@bpf.struct
class Connect:
    pid: u32
    uid: u32
    local: be32
    remote: be32
    sport: u16
    dport: u16
    result: s32
    comm: str = bpf.chars(16)


@bpf.config
class settings:
    only_pid: u32 = 0  # 0: all


asked = bpf.LruHash[u32, u64](max_entries=4096)  # the address of the socket that a thread connects
connects = bpf.RingBuf[Connect](size=1 << 16)


def report(sk: sock, result: s32) -> None:
    """The addresses are known only once the function has chosen a route: that is why its end is looked at."""
    common = sk.__sk_common
    connects.emit(
        Connect(
            pid=bpf.current.tgid,
            uid=bpf.current.uid,
            local=common.skc_rcv_saddr,
            remote=common.skc_daddr,
            sport=common.skc_num,
            dport=common.skc_dport,
            result=result,
            comm=bpf.current.comm,
        )
    )


@bpf.fexit("tcp_v4_connect")
def connected(sk: sock, ret: s32) -> None:
    if settings.only_pid == 0 or bpf.current.tgid == settings.only_pid:
        report(sk, ret)


@bpf.kprobe("tcp_v4_connect")
def entering(sk: sock) -> None:
    if settings.only_pid == 0 or bpf.current.tgid == settings.only_pid:
        asked[bpf.current.pid] = id(sk)


@bpf.kretprobe("tcp_v4_connect")
def leaving(ret: s32) -> None:
    address = asked.pop(bpf.current.pid)
    if address is not None:
        report(sock(address), ret)


WAYS = {"fexit": [connected], "kprobe": [entering, leaving]}


@contextlib.contextmanager
def watching(way: str) -> Iterator[None]:
    with bpf.load(*WAYS[way]), contextlib.ExitStack() as attached:
        for program in WAYS[way]:
            attached.enter_context(program.attach())
        yield


def main() -> None:
    way = sys.argv[1] if len(sys.argv) > 1 else "fexit"
    if way not in WAYS:
        sys.exit(__doc__)
    with watching(way):
        print(f"{'PID':<7}{'COMM':<16}{'LOCAL':<23}{'REMOTE':<23}RESULT")
        for one in connects:
            local, remote = (ipaddress.IPv4Address(address) for address in (one.local, one.remote))
            ends = f"{f'{local}:{one.sport}':<23}{f'{remote}:{one.dport}':<23}"
            print(f"{one.pid:<7}{one.comm:<16}{ends}{one.result}", flush=True)


if __name__ == "__main__":
    main()
