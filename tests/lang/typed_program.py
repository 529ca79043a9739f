"""A program that names most of the language, annotated as an author would: `mypy --strict` finds nothing in it."""

from __future__ import annotations

import enum
import struct
from typing import Final

import purebpf as bpf
from purebpf import be16, be32, u8, u16, u32, u64
from purebpf.net import ETH_P_IP, Ethernet, IPv4


class Kind(enum.IntEnum):
    A = 1
    B = 2


@bpf.struct
class Inner:
    x: u8 = 0
    y: u32 = 0


@bpf.struct
class R:
    a: u8
    b: u32 = 0
    name: str = bpf.chars(16)
    mac: bytes = bpf.bytes(6)
    v: list[u16] = bpf.array(u16, 3)
    grid: list[Inner] = bpf.array(Inner, 2)
    bit: u8 = bpf.bits(3)
    flag: bool = False
    inner: Inner = Inner()
    net: be16 = 0

    def total(self) -> int:
        return self.a + self.b

    @property
    def double(self) -> int:
        return self.b * 2


@bpf.struct(packed=True)
class P:
    a: u8 = 0
    b: be32 = 0


@bpf.union
class U:
    word: u32 = 0
    half: u16 = 0
    raw: bytes = bpf.bytes(4)


@bpf.struct
class L:
    lock: bpf.SpinLock = bpf.SpinLock()
    timer: bpf.Timer = bpf.Timer()
    n: u64 = 0


h = bpf.Hash[u32, u64](max_entries=8)
hr = bpf.Hash[u32, R](max_entries=8)
hk = bpf.LruHash[Inner, u64](max_entries=8)
pa = bpf.PerCpuArray[u64](max_entries=8)
pr = bpf.PerCpuHash[u32, Inner](max_entries=8)
ar = bpf.Array[R](max_entries=4)
al = bpf.Array[L](max_entries=4)
nums = bpf.Array[u64](max_entries=4)
ring = bpf.RingBuf[R](size=4096)
events = bpf.PerfEventArray[R]()
table = bpf.ProgArray(max_entries=4)
devices = bpf.DevMap(max_entries=4)
stacks = bpf.StackTrace(max_entries=16)
maps = [nums, nums]
LIMITS: Final = ((1, 2), (3, 4))


@bpf.globals
class state:
    seen: u64 = 0
    v: list[u32] = bpf.array(u32, 4)
    last: R = R(a=0)
    name: str = bpf.chars(16)


@bpf.config
class settings:
    limit: u32 = 4
    dry: bool = False


def lookup(k: u32) -> R | None:
    return hr.get(k)


def count(k: u32, n: int = 1) -> None:
    h[k] += n


def value_of(k: u32) -> int:
    return h.get(k, 0)


def make(a: u8) -> R:
    return R(a=a)


def swap(a: int, b: int) -> tuple[int, int]:
    return b, a


def inner_of(r: R) -> Inner:
    return r.inner


def expire(k: int, e: L) -> None:
    e.n += 1


@bpf.xdp
def prog(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None or eth.proto != ETH_P_IP:
        return bpf.XDP_PASS
    eth.src, eth.dst = eth.dst, eth.src
    if eth.src[:3] == b"\1\2\3" or eth.dst[0] == 5:
        return bpf.XDP_DROP
    ip = ctx.packet.at(14, IPv4)
    port = ctx.packet.at(36, be16)
    if ip is None or port is None:
        return bpf.XDP_DROP
    n: u8 = ip.ttl
    n -= 1
    m = u16(n) + port
    h[ip.protocol] += m
    old = h.get(3)
    if old is not None and old > 5:
        del h[3]
    if old:
        h.set(3, old + 1, bpf.BPF_NOEXIST)
    if h.delete(3) == 0:
        m += 1
    popped = h.pop(4)
    if popped is not None:
        state.seen += popped
    x = hr.get(1)
    if x is None:
        hr[1] = R(a=1, name="abc", mac=b"abcdef", v=[1, 2, 3], bit=3)
    else:
        x.b += 1
        x.v[1] = 3
        x.v[:2] = [1, 2]
        x.name = bpf.current.comm
        x.mac = eth.src
        x.inner.x = 3
        x.flag = True
        for i, e in enumerate(x.v):
            m += i * e
        for g in x.grid:
            g.x += 1
        m += x.total()
    if 3 in h:
        m += h[3]
    pa[0] += 1
    v = bpf.array(u32, 6)
    v[2] = 3
    buf = bpf.bytes(16)
    buf[0] = 4
    text = bpf.chars(16)
    text = state.name
    m += len(text)
    state.v[0] = 3
    state.last.b = 5
    state.name = "x"
    if settings.dry or settings.limit > m:
        return bpf.XDP_PASS
    a, b = swap(1, m)
    a, b = b, a
    match ip.protocol:
        case 6 | 17:
            pass
        case Kind.A if m > 3:
            return bpf.XDP_DROP
        case other:
            m += other
    with al[0].lock:
        al[0].n += 1
    al[0].timer.start(expire, 1000)
    al[0].timer.cancel()
    with ring.reserve() as rec:
        if rec is None:
            return bpf.XDP_DROP
        rec.a = 1
        if m > 4:
            ring.discard(rec)
    ring.emit(R(a=1))
    sent: bool = ring.emit(R(a=2, name=bpf.current.comm))
    m += 1 if sent else 0
    with ring.reserve_bytes(u32(m)) as data:
        if data is not None:
            q = data.at(0, u32)
            if q is not None:
                data.write(0, eth)
                m += q
    events.output(R(a=1))
    old2 = bpf.atomic.fetch_add(h[3], 1)
    m += bpf.atomic.exchange(state.seen, 1)
    if old2 is not None:
        m += old2
    bpf.atomic.compare_exchange(nums[0], 1, 2)
    bpf.printk(f"hello {m:x} {state.name}")
    print("x", m)
    s: u64 = 0

    def f(i: int) -> bool:
        nonlocal s
        s += i
        return i > 3

    bpf.loop(10, f)

    def g2(k: u32, val: u64) -> bool:
        return False

    h.for_each(g2)
    for k, val in h.items():
        s += k + val
    for k2, rr in hr.items():
        s += rr.a + k2
    s += sum(i for i in range(5)) + max(e for e in v) + any(e > 1 for e in v) + all(v)
    s += min(3, 4) + m.bit_length() + m.bit_count() + LIMITS[s & 1][0]
    q1, q2 = divmod(s, 7)
    s += q1 + q2
    s += bpf.sizeof(R) + bpf.offsetof(R, "b") if bpf.exists(R, "b") else 0
    bpf.helpers.ktime_get_ns()
    s += bpf.ktime() + bpf.cpu() + bpf.random() + bpf.raw(ip.saddr) + bpf.jhash((ip.saddr, 3)) + bpf.checksum(ip)
    ctx.packet.adjust_head(-4)
    ctx.packet.adjust_tail(-4)
    table.tail_call(ctx, 1)
    return devices.redirect(1) if s > 3 else bpf.redirect(4)


@bpf.tc
def t(ctx: bpf.TcContext) -> bpf.TcAction:
    ctx.mark = 3
    ctx.cb[0] = 4
    if len(ctx.packet) > 4 and ctx.protocol == ETH_P_IP:
        return bpf.TC_ACT_SHOT
    return bpf.TC_ACT_OK


@bpf.socket_filter
def sf(ctx: bpf.SocketFilterContext) -> int:
    p = ctx.packet.at(0, P)
    return 0 if p is None else p.a


@bpf.tracepoint("syscalls/sys_enter_openat")
def tp(ctx: bpf.TracepointContext) -> None:
    if ctx.dfd == -100:
        ring.emit(R(a=1, name=bpf.read_user_str(ctx.filename)))
    w = bpf.read_user(ctx.filename, u32)
    if w is not None and w > 3:
        state.seen += 1
    z = bpf.read_kernel(ctx.filename, Inner)
    if z is not None:
        state.seen += z.x


@bpf.raw_tracepoint("sys_enter")
def rt(ctx: bpf.RawTracepointContext) -> None:
    state.seen += ctx.args[1]
    n = bpf.stack(stacks, user=True)
    if n >= 0:
        h[u32(n)] += 1


@bpf.perf_event
def pe(ctx: bpf.PerfEventContext) -> None:
    state.seen += ctx.sample_period


def drop(n: int) -> bpf.Program:
    @bpf.xdp
    def inner(ctx: bpf.XdpContext) -> bpf.XdpAction:
        return n

    return inner


@bpf.xdp
def bare(ctx):  # type: ignore[no-untyped-def]
    return 1


if __name__ == "__main__":
    settings.limit = 5
    table[1] = prog
    with prog.attach("eth0", mode="generic"):
        for _ in bpf.every(1.0):
            print(
                h[1] + 1, hr[1].name, dict(h.items()), len(h), 3 in h, list(h), h.get(4), pa[0].sum(), pa.sums(), pr[1].sum().x
            )
            state.seen = 0
            state.v[0] = 4
            for rec in ring:
                print(rec.a, rec.name.upper(), rec.mac.hex())
            print(ring.dropped, ring.read(1.0)[0].b, bpf.from_bytes(R, bpf.to_bytes(R(a=1))).b)
    res = prog.run(packet=bytes(64), engine="vm")
    print(res.value, res.data, prog.python(packet=bytes(3)).printed)
    with bpf.load(prog, t) as c:
        pass

    async def f() -> None:
        async for rec in ring:
            print(rec.b)

    b1 = R(a=3, inner=Inner(x=3)) == R(a=4)
    hash(R(a=1))
    print(struct.pack("I", U(word=3).half))
