"""Features of the kernel in one another: rings in loops and callbacks, locks in callbacks, loops around callbacks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import purebpf as bpf
from purebpf import s32, u8, u32, u64
from purebpf.net import Ethernet
from tests.compiler.results import Table, check, check_ir

case = Table()


@bpf.struct
class E:
    a: u64 = 0
    n: u32 = 0
    name: str = bpf.chars(16)
    mac: bytes = bpf.bytes(6)


ring = bpf.RingBuf[E](size=1 << 14)
nums = bpf.RingBuf[u64](size=4096)
arr = bpf.Array[u64](max_entries=8)
recs = bpf.Array[E](max_entries=4)
h = bpf.Hash[u32, u64](max_entries=64)
hs = bpf.Hash[u32, E](max_entries=64)


@bpf.struct
class Acc:
    lock: bpf.SpinLock
    v: u64 = 0
    w: u64 = 0


accs = bpf.Array[Acc](max_entries=4)
haccs = bpf.Hash[u32, Acc](max_entries=4)


@case(20)
def loop_in_reserve(ctx: bpf.XdpContext) -> int:
    total = 0
    with ring.reserve() as e:
        if e is None:
            return 0
        for i in range(len(ctx.packet)):
            b = ctx.packet.at(i, u8)
            if b is None:
                break
            e.a += b + 1
            if e.a >= 20:
                break
        total = e.a
    return u32(total)


@case(6)
def index_in_reserve(ctx: bpf.XdpContext) -> int:
    i = ctx.packet.at(3, u8) or 0
    with ring.reserve() as e:
        if e is None:
            return 0
        if i < 8:
            arr[i] = 5
            e.n = u32(arr[i])
        e.name = bpf.current.comm
        e.mac = e.mac
        return e.n + 1
    return 0


def big(ctx: bpf.XdpContext, k: u32) -> u32:
    total: u32 = 0
    for i in range(50):
        total += i * k
        if total > 100000:
            total = 7
    ring.emit(E(n=total, a=k))
    with ring.reserve() as e:
        if e is None:
            return 0
        if total > 500:
            ring.discard(e)
            return total
        e.n = total
        e.a = total * 3
        e.name = "x"
    for j in range(20):
        total ^= j
        if total & 1:
            total += 3
    for j in range(20):
        total ^= j
        if total & 2:
            total += 5
    return total


def big_py(k: int) -> int:
    total = 0
    for i in range(50):
        total = (total + i * k) & 0xFFFFFFFF
        if total > 100000:
            total = 7
    if total > 500:
        return total
    for j in range(20):
        total ^= j
        if total & 1:
            total += 3
    for j in range(20):
        total ^= j
        if total & 2:
            total += 5
    return total


@case((big_py(1) + big_py(0) + big_py(3)) & 0xFFFFFFFF)
def ring_in_subprogram(ctx: bpf.XdpContext) -> int:
    return big(ctx, 1) + big(ctx, 0) + big(ctx, 3)


@case(10 + 1)
def emit_in_callback(ctx: bpf.XdpContext) -> int:
    sent = 0
    name = bpf.chars(16)
    name[0] = 65

    def f(i: int) -> bool | None:
        nonlocal sent
        if ring.emit(E(a=i, n=sent, name=name)):
            sent += 1
        with ring.reserve() as e:
            if e is None:
                return True
            e.n = i
            if i == 9:
                return True
            if i % 2:
                ring.discard(e)
        return False

    bpf.loop(100, f)
    return sent + 1


@case(33)
def with_in_items(ctx: bpf.XdpContext) -> int:
    for i in range(5):
        h[i] = i * 11
    for k, v in h.items():
        with ring.reserve() as e:
            if e is None:
                continue
            e.n = k
            if v == 33:
                return u32(v)
            if v == 22:
                continue
            e.a = v
    return 0


@case(1)
def captures(ctx: bpf.XdpContext) -> int:
    t = (1, len(ctx.packet), 3)
    m = h.get(77)
    some = h.get(ctx.rx_queue_index, 5)
    text = "const"
    eth = ctx.packet.at(0, Ethernet)
    r = recs[1]
    ok = False
    cnt: u8 = 250

    def f(i: int) -> bool | None:
        nonlocal ok, cnt
        cnt += 1
        if m is not None:
            return True
        a, b, c = t
        if eth is None:
            return True
        r.a = a + b + c + eth.proto
        ok = text == "const" and r.a == 68 and some == 5
        return False

    n = bpf.loop(10, f)
    return 1 if ok and n == 10 and cnt == 4 else 0


@case(5)
def nested_in_loop_with_break(ctx: bpf.XdpContext) -> int:
    total = 0
    for _i in range(10):

        def f(j: int) -> bool | None:
            nonlocal total
            total += 1
            return j == 0

        bpf.loop(3, f)
        if total == 5:
            break
    return total


@case(12)
def lock_loop(ctx: bpf.XdpContext) -> int:
    a = accs[2]
    a.v = 0
    a.w = 0
    n = len(ctx.packet)
    with a.lock:
        for i in range(4):
            a.v += i
            if n == 1000:
                return 1
            a.w = a.v * 2
    return u32(a.w)


@case(9)
def lock_in_callback(ctx: bpf.XdpContext) -> int:
    accs[1].v = 0

    def f(i: int) -> bool | None:
        a = accs[1]
        with a.lock:
            a.v += i
            if a.v > 8:
                return True
        return False

    bpf.loop(100, f)
    return u32(accs[1].v) - 1


@case(3)
def lock_in_hash_items(ctx: bpf.XdpContext) -> int:
    for i in range(3):
        haccs[i] = Acc(v=i)
    s = 0
    for _k, a in haccs.items():
        with a.lock:
            a.v += 1
            a.w = 1
        s += a.w
    return u32(s)


@case(4)
def atomic_in_callback(ctx: bpf.XdpContext) -> int:
    arr[0] = 0

    def f(i: int) -> bool | None:
        return bpf.atomic.fetch_add(arr[0], 1) == 3

    return bpf.loop(50, f)


@case(49)
def ints_widths(ctx: bpf.XdpContext) -> int:
    lo: s32 = -5
    hi = 1 << 40
    flag = True

    def f(i: int) -> bool | None:
        nonlocal lo, hi, flag
        lo -= i
        hi += 1
        flag = not flag

    bpf.loop(10, f)
    return -lo - 1 if hi == (1 << 40) + 10 and flag else 0


@case(7)
def index_after(ctx: bpf.XdpContext) -> int:
    k = 0

    def f(i: int) -> bool | None:
        nonlocal k
        k = i & 7

    bpf.loop(len(ctx.packet), f)
    if k < 8:
        arr[k] = 7
        return u32(arr[k])
    return 0


@case(3)
def index_inside(ctx: bpf.XdpContext) -> int:
    def f(i: int) -> bool | None:
        if i < 8:
            arr[i] = i
        return i == 2

    return bpf.loop(8, f)


@case(8)
def proven_inside(ctx: bpf.XdpContext) -> int:
    def f(i: int) -> bool | None:
        arr[i] = 2

    return bpf.loop(8, f)


@case(1)
def many_trips_and_tests(ctx: bpf.XdpContext) -> int:
    total = 0
    odd = 0
    seen: u8 = 0

    def f(i: int) -> bool | None:
        nonlocal total, odd, seen
        if i & 1:
            odd += 1
        if i % 3 == 0:
            total += 2
        elif i % 5 == 0:
            total += 3
        seen = total & 7
        arr[seen & 7] = i
        return total > 3000000

    n = bpf.loop(1 << 14, f)
    if total == 5:
        return 9
    if odd > 100 and odd < 5000000 and seen < 8:
        arr[seen & 7] = n
        return 1
    return 0


@case(27)
def three_levels(ctx: bpf.XdpContext) -> int:
    total = 0

    def a(i: int) -> bool | None:
        def b(j: int) -> bool | None:
            def c(k: int) -> bool | None:
                nonlocal total
                total += 1
                return total == 1000

            bpf.loop(3, c)
            return False

        bpf.loop(3, b)
        return False

    bpf.loop(3, a)
    return total if total != 5 else 0


@case(100)
def branchy_items(ctx: bpf.XdpContext) -> int:
    for i in range(8):
        arr[i] = i
    low = 0
    high = 0
    best = 0
    for _k, v in arr.items():
        if v < 3:
            low += 1
        elif v > 5:
            high += 1
        if v > best:
            best = v
        if low + high > 100:
            break
        if best == 50:
            return 1
    if low == 3 and high == 2 and best == 7:
        return 100
    return 0


@case(1)
def while_around(ctx: bpf.XdpContext) -> int:
    rounds = 0
    total = 0

    def f(i: int) -> bool | None:
        nonlocal total
        total += i
        return total > 50

    while total < 20:
        rounds += 1
        bpf.loop(5, f)
        if rounds == 3:
            break
    return rounds + (total == 30) - (total == 20) if total else 0


@case(64)
def packet_sum_loop(ctx: bpf.XdpContext) -> int:
    total = 0
    data = ctx.packet.at(0, Ethernet)
    if data is None:
        return 0

    def f(i: int) -> bool | None:
        nonlocal total
        b = ctx.packet.at(i, u8)
        if b is None:
            return True
        total += b + 1
        data.proto = total
        return False

    n = bpf.loop(1500, f)
    return n - 1 if data.proto == total else 0


@case(1)
def dropped_on_one_way(ctx: bpf.XdpContext) -> int:
    for i in range(4):
        with ring.reserve() as e:
            if e is None:
                return 0
            e.n = i
            if i == len(ctx.packet) % 3:
                ring.discard(e)
            elif i == 2:
                continue
            if i == 3:
                break
    return 1


@bpf.struct
class Point:
    x: u32 = 0
    y: u32 = 0
    t: str = bpf.chars(8)


points = bpf.Array[Point](max_entries=4)
points_ring = bpf.RingBuf[Point](size=4096)


@case(4)
def maybe_int_assigned(ctx: bpf.XdpContext) -> int:
    h[3] = 4
    best = None
    for i in arr:
        best = h.get(i)
        if best is not None:
            break
    return u32(best) if best is not None else 0


@case(10)
def tuple_assigned(ctx: bpf.XdpContext) -> int:
    pair = (0, 0)

    def f(i: int) -> bool | None:
        nonlocal pair
        pair = (i, pair[0] + 1)
        return i == 9

    bpf.loop(100, f)
    return pair[0] + (pair[1] == 9)


@case(28)
def while_in_callback(ctx: bpf.XdpContext) -> int:
    total = 0

    def f(i: int) -> bool | None:
        nonlocal total
        n = i
        while n > 0:
            total += 1
            n -= 1

    bpf.loop(8, f)
    return total


@case(5)
def text_local(ctx: bpf.XdpContext) -> int:
    bpf.chars(8)
    p = Point(x=5, t="abc")
    n = 0

    def f(i: int) -> bool | None:
        nonlocal n
        if p.t == "abc":
            n += 1

    bpf.loop(p.x, f)
    return n


@case(3)
def swap_refs(ctx: bpf.XdpContext) -> int:
    points[0].x = 1
    points[1].x = 2
    p = points[0]
    q = points[1]

    def f(i: int) -> bool | None:
        nonlocal p, q
        p, q = q, p

    bpf.loop(3, f)
    return p.x + q.x if p.x == 2 else 0


@case(2)
def callback_as_closure_value(ctx: bpf.XdpContext) -> int:
    k = 7
    if len(ctx.packet) > 10:
        k = 1

    def f(i: int) -> bool | None:
        return i == k

    return bpf.loop(10, f)


@case(3)
def choose_function(ctx: bpf.XdpContext) -> int:
    def f(i: int) -> bool | None:
        return i == 2

    g = f
    return bpf.loop(10, g)


@case(0)
def early_return(ctx: bpf.XdpContext) -> int:
    for k in h:
        return 1 + k
    return 0


@case(6)
def nested_items(ctx: bpf.XdpContext) -> int:
    for i in range(3):
        h[i] = i
    n = 0
    for k in h:
        for j in arr:
            if j == k:
                n += k
                break
        else:
            return 99
    for k in h:
        del h[k]
    return n * 2


@case(9)
def emit_then_size(ctx: bpf.XdpContext) -> int:
    n = 0
    for i in range(3):
        with points_ring.reserve() as e:
            if not e:
                break
            e.x = i
            n += e.x + 2
    return n


@case(1)
def walrus(ctx: bpf.XdpContext) -> int:
    with points_ring.reserve() as e:
        if e is not None and (v := e.x + 1) == 1:
            e.y = v
            return v
    return 0


@case.parametrize()
def test_result(function: Callable[..., object], expected: int, packet: bytes, engine: str) -> None:
    check(function, expected, packet, engine)


@pytest.mark.parametrize("function, expected, packet", case.rows, ids=[row[0].__name__ for row in case.rows])
def test_result_of_the_ir(function: Callable[..., object], expected: int, packet: bytes) -> None:
    check_ir(function, expected, packet)
