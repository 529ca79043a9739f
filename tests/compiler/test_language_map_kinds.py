"""Queues, stacks, Bloom filters, tries and the other kinds of maps in programs."""

from __future__ import annotations

import ipaddress

import pytest

import purebpf as bpf
from purebpf import be32, u8, u16, u32, u64
from purebpf.kernel.errors import kernel_version
from purebpf.net import ETH_P_IP, Ethernet, IPv4, IPv6
from tests.compiler.results import Function, Table, check, check_ir

case = Table()
FILTERS = (5, 16)


@bpf.struct
class Job:
    number: u32 = 0
    name: str = bpf.chars(8)


@bpf.struct
class Route:
    hops: u32 = 0
    hits: u64 = 0


@bpf.struct
class Prefix:
    bits: u32 = 0
    zone: u8 = 0
    code: u8 = 0
    rest: u16 = 0


numbers = bpf.Queue[u64](max_entries=3)
jobs = bpf.Stack[Job](max_entries=4)
seen = bpf.BloomFilter[u32](max_entries=1000)
routes = bpf.LpmTrie[ipaddress.IPv4Network, Route](max_entries=16)
routes6 = bpf.LpmTrie[ipaddress.IPv6Network, u32](max_entries=16)
zones = bpf.LpmTrie[Prefix, u32](max_entries=16)
recent = bpf.LruPerCpuHash[u32, u64](max_entries=64)


@case(1 << 32 | 2)
def a_queue_gives_the_oldest_first(ctx):
    numbers.push(2)
    numbers.push(1 << 32)
    total = 0
    for _ in range(3):
        n = numbers.pop()
        if n is not None:
            total += n
    return total


@case(20)
def a_full_queue_says_so(ctx):
    for i in range(3):
        numbers.push(i + 10)
    full = numbers.push(13)
    forced = numbers.push(14, bpf.BPF_EXIST)
    if full == -7 and forced == 0:
        first = numbers.peek()
        if first is not None:
            return first + 9
    return 0


@case(77)
def pop_of_an_empty_queue_is_none(ctx):
    n = numbers.pop()
    if n is None:
        return 77
    return n


@case(2 * 100 + ord("b"))
def a_stack_gives_the_youngest_first(ctx):
    jobs.push(Job(number=1, name="a"))
    jobs.push(Job(number=2, name="b"))
    top = jobs.pop()
    if top is None:
        return 0
    if top.name == "b":
        return top.number * 100 + ord("b")
    return 1


@case(11)
def what_is_popped_is_the_programs_own(ctx):
    job = Job(number=5)
    jobs.push(job)
    job.number = 9
    top = jobs.peek()
    if top is None:
        return 0
    top.number += 1
    again = jobs.pop()
    if again is None:
        return 0
    return top.number + again.number


@case(5)
def a_filter_knows_its_members(ctx):
    seen.add(7)
    n = 0
    if 7 in seen:
        n += 1
    if 8 not in seen:
        n += 4
    return n


@case(24 * 100 + 8)
def the_longest_prefix_counts(ctx):
    routes.set(bpf.Network4(length=8, address=0x0A000000), Route(hops=8))
    routes.set(bpf.Network4(length=24, address=0x0A0102FF), Route(hops=24))
    near = routes.get(0x0A010203)
    far = routes.get(0x0A020304)
    none = routes.get(0x0B000001)
    if near is None or far is None or none is not None:
        return 0
    return near.hops * 100 + far.hops


@case(3)
def a_prefix_counts_what_falls_under_it(ctx):
    routes.set(bpf.Network4(length=16, address=0xC0A80000), Route())
    for i in range(3):
        entry = routes.get(0xC0A80000 + i)
        if entry is not None:
            entry.hits += 1
    entry = routes.get(0xC0A8FFFF)
    if entry is None:
        return 0
    return entry.hits


@case(0x2A)
def deletion_is_exact(ctx):
    routes6.set(bpf.Network6(length=0), 0x2A)
    wide = bpf.Network6(length=16)
    wide.address[0] = 0x20
    routes6[wide] = 3
    missing = routes6.delete(bpf.Network6(length=16))
    del routes6[wide]
    if missing != -2:
        return 1
    host = bpf.bytes(16)
    host[0] = 0x20
    return routes6.get(host, 0)


@case(12)
def records_of_ones_own_are_prefixes_too(ctx):
    zones[Prefix(bits=8, zone=4)] = 10
    zones[Prefix(bits=16, zone=4, code=9)] = 2
    return zones.get(Prefix(bits=32, zone=4, code=9, rest=5), 0) + zones.get(Prefix(bits=32, zone=4, code=8), 0)


@case(-22 & 0xFFFFFFFF)
def a_prefix_that_is_too_long_is_refused(ctx):
    return u32(zones.set(Prefix(bits=33), 1))


@case(3)
def a_per_cpu_table_that_forgets(ctx):
    recent[5] += 1
    recent[5] += 2
    return recent.get(5, 0)


@case.parametrize()
def test_results(function: Function, expected: int, packet: bytes, engine: str) -> None:
    if engine == "kernel" and function is a_filter_knows_its_members and kernel_version() < FILTERS:
        pytest.skip("Bloom filters came with Linux 5.16")
    check(function, expected, packet, engine)


@pytest.mark.parametrize("function, expected, packet", case.rows, ids=[row[0].__name__ for row in case.rows])
def test_results_in_the_interpreter(function: Function, expected: int, packet: bytes) -> None:
    check_ir(function, expected, packet)


@bpf.xdp
def route(ctx: bpf.XdpContext) -> bpf.XdpAction:
    eth = ctx.packet.at(0, Ethernet)
    if eth is None:
        return bpf.XDP_PASS
    if eth.proto == ETH_P_IP:
        ip = ctx.packet.at(14, IPv4)
        if ip is None:
            return bpf.XDP_PASS
        entry = routes.get(ip.daddr)
        if entry is None:
            return bpf.XDP_DROP
        entry.hits += 1
        return bpf.XDP_TX
    ip6 = ctx.packet.at(14, IPv6)
    if ip6 is None:
        return bpf.XDP_PASS
    return bpf.XDP_TX if routes6.get(ip6.daddr, 0) == 6 else bpf.XDP_DROP


def packet(address: str) -> bytes:
    """An otherwise empty frame to an address."""
    to = ipaddress.ip_address(address)
    if to.version == 4:
        return bytes(12) + b"\x08\x00" + b"\x45" + bytes(15) + to.packed
    return bytes(12) + b"\x86\xdd" + b"\x60" + bytes(7) + bytes(16) + to.packed


ENGINES = ["vm", pytest.param("kernel", marks=pytest.mark.kernel)]


@pytest.mark.parametrize("engine", [*ENGINES, "python"])
def test_networks_are_keys_in_user_space_and_addresses_in_programs(engine: str) -> None:
    with route.load("vm" if engine == "python" else engine):
        run = route.python if engine == "python" else route.run
        net = ipaddress.IPv4Network("10.0.0.0/8")
        routes[net] = Route(hops=1)
        routes["10.1.0.0/16"] = Route(hops=2)
        routes6["2001:db8::/32"] = 6
        routes6[ipaddress.IPv6Address("2001:db8::1")] = 5
        assert run(packet("10.1.2.3")).value == bpf.XDP_TX
        assert run(packet("10.2.2.3")).value == bpf.XDP_TX
        assert run(packet("11.2.2.3")).value == bpf.XDP_DROP
        assert run(packet("2001:db8::2")).value == bpf.XDP_TX
        assert run(packet("2001:db8::1")).value == bpf.XDP_DROP
        assert run(packet("2001:db9::1")).value == bpf.XDP_DROP
        assert sorted(routes) == [net, ipaddress.IPv4Network("10.1.0.0/16")]
        assert routes[net].hits == 1 and routes.get("10.1.200.1").hits == 1 and routes.get("12.0.0.1") is None
        assert "10.200.1.1" in routes and set(routes6) == {
            ipaddress.IPv6Network("2001:db8::/32"),
            ipaddress.IPv6Network("2001:db8::1/128"),
        }
        del routes["10.1.0.0/16"]
        with pytest.raises(KeyError):
            del routes["10.1.0.0/16"]
        assert routes.get("10.1.2.3").hops == 1
        with pytest.raises(ValueError, match=r"the key of `routes` is an IPv4 network: ::1/128 is IPv6"):
            routes["::1"]
        with pytest.raises(TypeError, match="a network, an address or its text is wanted, not 5"):
            routes.get(5)
        with pytest.raises(ValueError, match="has host bits set"):
            routes["10.1.0.1/8"] = Route()


@bpf.xdp
def uses(ctx: bpf.XdpContext) -> bpf.XdpAction:
    n = numbers.pop()
    job = jobs.peek()
    known = 7 in seen
    if n is not None and job is not None and known:
        numbers.push(n * 2 + job.number)
    return bpf.XDP_PASS


@pytest.mark.parametrize("engine", ENGINES)
def test_queues_and_filters_in_user_space(engine: str) -> None:
    if engine == "kernel" and kernel_version() < FILTERS:
        pytest.skip("Bloom filters came with Linux 5.16")
    with uses.load(engine):
        assert numbers.pop() is None and numbers.peek() is None and 7 not in seen
        numbers.push(20)
        jobs.push(Job(number=3, name="x"))
        seen.add(7)
        uses.run(bytes(64))
        assert numbers.peek() == 43 and list(numbers.drain()) == [43] and numbers.pop() is None
        assert jobs.pop() == Job(number=3, name="x")
        for n in range(3):
            numbers.push(n)
        with pytest.raises(bpf.KernelError) as full:
            numbers.push(3)
        assert full.value.errno == 7
        numbers.push(3, bpf.BPF_EXIST)
        assert list(numbers.drain()) == [1, 2, 3]
        with pytest.raises(TypeError, match="a value of `numbers` is a `u64`"):
            numbers.push("x")  # type: ignore[arg-type]
        assert 7 in seen and sum(n in seen for n in range(100, 1100)) < 100


def refused(function: object) -> str:
    with pytest.raises(bpf.CompileError) as error:
        bpf.xdp(function).spec()  # type: ignore[arg-type]
    return str(error.value)


def test_what_these_maps_cannot_do_is_told() -> None:
    def walks(ctx: bpf.XdpContext) -> bpf.XdpAction:
        for network in routes:
            bpf.printk("%d", network.length)
        return bpf.XDP_PASS

    def reads(ctx: bpf.XdpContext) -> bpf.XdpAction:
        numbers[1] = 2
        return bpf.XDP_PASS

    def untested(ctx: bpf.XdpContext) -> int:
        return numbers.pop() + 1

    def wrong(ctx: bpf.XdpContext) -> int:
        jobs.push(numbers.pop())
        return 1

    assert "a program cannot go over a LpmTrie" in refused(walks)
    assert "a Queue cannot be assigned in a program" in refused(reads) and "it has: peek, pop, push" in refused(reads)
    assert "`numbers.pop()` gives None when `numbers` is empty" in refused(untested)
    assert "`jobs` holds `Job`, not" in refused(wrong) or "may be None" in refused(wrong)


def test_keys_of_tries_begin_with_a_length() -> None:
    with pytest.raises(bpf.Error, match="`bad`: `be32` is no key of a trie"):
        bpf.LpmTrie[be32, u32](max_entries=4).describe("bad")
    with pytest.raises(bpf.Error, match="a Bloom filter has 1 to 15 hashes, not 16"):
        bpf.BloomFilter[u32](max_entries=4, hashes=16)


# -- maps of maps


inner = bpf.Hash[u32, u64](max_entries=8)
first = bpf.Hash[u32, u64](max_entries=8)
second = bpf.Hash[u32, u64](max_entries=16)
by_index = bpf.ArrayOfMaps(inner, max_entries=4)
by_name = bpf.HashOfMaps[u16](inner, max_entries=4)
rows = bpf.ArrayOfMaps(bpf.Array[Route](max_entries=3), max_entries=2)


@bpf.xdp
def counts_in_tables(ctx: bpf.XdpContext) -> int:
    table = by_index.get(len(ctx.packet) & 7)
    if table is None:
        return 1
    table[5] += 2
    named = by_name.get(7)
    if named is not None:
        if 5 in named:
            named[6] = named[5] + 10
        for key, value in named.items():
            table[100 + key] = value
    row = rows.get(1)
    if row is not None:
        row[2].hits += 3
    return u32(table.get(5, 0)) + (100 if 7 in by_name else 0)


@pytest.mark.parametrize("engine", [*ENGINES, "python"])
def test_programs_use_maps_in_maps(engine: str) -> None:
    if engine == "kernel" and kernel_version() < (5, 13):
        pytest.skip("programs can go over a map since Linux 5.13")
    for outer in (by_index, by_name, rows):
        outer.entries.clear()  # what was put in is put in again with each load
    with counts_in_tables.load("vm" if engine == "python" else engine):
        run = counts_in_tables.python if engine == "python" else counts_in_tables.run
        assert run(bytes(64)).value == 1 and 0 not in by_index and len(by_index) == 0
        by_index[0] = first
        by_index[1] = second
        row = rows.create(1)
        assert first.bound and row.bound and by_index[0] is first and by_index.get(2) is None
        assert run(bytes(64)).value == 2 and first[5] == 2 and second.to_dict() == {} and row[2].hits == 3
        named = by_name.create(7)
        named[5] = 3
        assert run(bytes(65)).value == 102 and second.to_dict() == {5: 2, 105: 3, 106: 13}
        by_index[0] = second  # under the program
        assert run(bytes(64)).value == 104 and first[5] == 2
        del by_name[7]
        with pytest.raises(KeyError):
            del by_name[7]
        assert list(by_index) == [0, 1] and list(by_name) == [] and by_index[0] is second
    assert not first.bound and not row.bound


@pytest.mark.parametrize("engine", ENGINES)
def test_inner_maps_are_loaded_with_the_outer_one(engine: str) -> None:
    by_index.entries.clear()
    by_index[3] = first
    with bpf.load(by_index, engine=engine):
        first[1] = 1
        assert by_index[3] is first
        with pytest.raises(TypeError, match="`by_index` holds maps as"):
            by_index[1] = rows  # type: ignore[assignment]
        other = bpf.Hash[u32, u32](max_entries=8)
        with pytest.raises(TypeError, match=r"value_size of `.*` is 4, not 8"):
            by_index[1] = other  # type: ignore[assignment]
    by_index.entries.clear()


@pytest.mark.kernel
def test_an_inner_map_of_another_process_is_opened(kernel: object) -> None:
    with bpf.load(by_name, engine="kernel"):
        by_name[1] = first
        first[3] = 4
        by_name.entries.clear()
        by_name._own, kept = [], by_name._own
        try:
            found = by_name[1]
            assert found is not first and found[3] == 4
        finally:
            by_name._own += kept


def test_inner_maps_must_be_tested() -> None:
    def untested(ctx: bpf.XdpContext) -> int:
        by_index.get(1)[5] += 1
        return 1

    def assigned(ctx: bpf.XdpContext) -> int:
        by_index[1] = first
        return 1

    def read(ctx: bpf.XdpContext) -> int:
        table = by_index.get(1)
        return u32(table.get(1, 0))

    assert "may be None" in refused(untested) or "give it a name" in refused(untested)
    assert "an ArrayOfMaps cannot be assigned in a program" in refused(assigned)
    assert "`table` may be None here" in refused(read)
