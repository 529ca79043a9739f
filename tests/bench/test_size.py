"""The size ratchet, and that both halves of the pairs do the same work."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from _pytest.mark.structures import ParameterSet

from bench.size import clang, equality
from bench.size.__main__ import Row, table
from bench.size.inputs import inputs, packets
from bench.size.pairs import HERE, LEVELS, Pair, Slots, our_slots, pairs, program_of, recorded
from purebpf.errors import Error
from purebpf.spec import CollectionSpec, ProgramSpec
from purebpf.tables.enums import ProgramType
from purebpf.vm.engine import VmEngine

PAIRS = pairs()


def parameter(pair: Pair) -> ParameterSet:
    """A pair, skipped where its program cannot be compiled: fields of system calls stand in tracefs alone."""
    from purebpf.lang.tracepoints import event_fields

    hook, reason = program_of(pair, LEVELS[0]).hook, ""
    if hook.startswith("syscalls/"):
        try:
            event_fields(hook)
        except Error as error:
            reason = str(error)
    return pytest.param(pair, id=pair.name, marks=pytest.mark.skipif(bool(reason), reason=reason))


EACH = pytest.mark.parametrize("pair", [parameter(pair) for pair in PAIRS])
RUNS = 60
needs_clang = pytest.mark.skipif(not clang.available(), reason=f"{clang.CLANG} is not installed")


@pytest.mark.parametrize("cpu", LEVELS)
@EACH
def test_takes_no_more_slots_than_recorded(pair: Pair, cpu: int, record_property: pytest.RecordProperty) -> None:
    slots, known = our_slots(pair, cpu), recorded()[pair.name]
    record_property("slots", (cpu, slots, known.clang[cpu]))
    assert slots <= known.ours[cpu], "smaller code only: look at what grew, and `python -m bench.size --record` if it is right"


def test_the_packet_counter_is_smaller_than_clangs() -> None:
    (pair,) = (each for each in PAIRS if each.name == "packet_count")
    assert all(our_slots(pair, cpu) < recorded()[pair.name].clang[cpu] for cpu in LEVELS)


def test_every_half_has_its_other_half_and_its_numbers() -> None:
    assert len(PAIRS) >= 40
    assert all(pair.python.exists() for pair in PAIRS)
    assert {each.stem for each in (HERE / "pairs").glob("*.py")} <= {pair.name for pair in PAIRS}
    assert set(recorded()) == {pair.name for pair in PAIRS}


@needs_clang
@EACH
def test_both_halves_do_the_same_on_the_virtual_machine(pair: Pair) -> None:
    program = program_of(pair, LEVELS[0])
    ours = program.spec()
    assert equality.check(program, ours, clang.program(pair.c, LEVELS[0], ours), kernel=False, count=RUNS) >= RUNS // 2


@pytest.mark.kernel
@needs_clang
@EACH
def test_both_halves_do_the_same_in_the_kernel(pair: Pair) -> None:
    program = program_of(pair, LEVELS[1])
    ours = program.spec()
    equality.check(program, ours, clang.program(pair.c, LEVELS[1], ours), kernel=True, count=RUNS)


@pytest.mark.kernel
@EACH
def test_the_verifier_takes_it(pair: Pair) -> None:
    from bench.size.measure import verified

    program = program_of(pair, LEVELS[0])
    assert verified((program.spec(), program)) > 0


@needs_clang
def test_clangs_slots_are_those_recorded() -> None:
    pair = PAIRS[0]
    (spec,) = clang.program(pair.c, 3, program_of(pair, 3).spec()).programs.values()
    assert spec.slots == recorded()[pair.name].clang[3]


SOURCE = """
#include "common.h"
static const u32 table[4] = { 7, 1000, 30, 4 };
static __attribute__((noinline)) u32 pick(u32 n, u32 m) { return table[n & 3] + table[m & 3]; }
SEC("xdp") int prog(struct xdp_md *ctx) { return pick(ctx->rx_queue_index, 1) + pick(3, ctx->rx_queue_index); }
LICENSE;
"""


@needs_clang
@pytest.mark.parametrize("cpu", LEVELS)
def test_calls_and_constants_of_an_object_are_resolved(tmp_path: Path, cpu: int) -> None:
    source = tmp_path / "calls.c"
    source.write_text(SOURCE.replace("common.h", str(HERE / "pairs/common.h")))
    spec = clang.program(source, cpu, CollectionSpec({"prog": ProgramSpec("prog", ProgramType.XDP, ())}))
    engine = VmEngine()
    maps = {name: engine.create_map(each) for name, each in spec.maps.items()}
    assert engine.load_program(spec.programs["prog"], maps).run(data=bytes(64)).value == 7 + 1000 + 4 + 7


@needs_clang
def test_a_difference_is_found_and_named() -> None:
    """Two pairs' halves that have nothing in common."""
    one, other = (next(p for p in PAIRS if p.name == name) for name in ("mac_swap", "ttl_decrement"))
    program = program_of(one, 3)
    ours = program.spec()
    with pytest.raises(equality.Different, match=r"on the virtual machine, input \d+ .*value, packet differ"):
        equality.check(program, ours, clang.program(other.c, 3, ours), kernel=False, count=RUNS)


def test_inputs_are_the_same_for_the_same_seed() -> None:
    program = program_of(PAIRS[0], 3)
    assert inputs(program, 4, 50) == inputs(program, 4, 50)
    assert inputs(program, 4, 50) != inputs(program, 5, 50)


def test_packets_are_of_many_kinds() -> None:
    made = packets(Random(1), 300)
    assert {each[12:14] for each in made} >= {b"\x08\x00", b"\x86\xdd", b"\x08\x06", b"\x81\x00", b"\x88\xa8"}
    assert {each[23] for each in made if each[12:14] == b"\x08\x00" and len(each) > 23} >= {1, 6, 17, 47}
    assert all(14 <= len(each) <= 1400 for each in made)


def test_the_clock_of_comparisons_is_the_same_each_time() -> None:
    from purebpf.vm.system_helpers import ktime_get_ns

    machine = VmEngine().machine
    with equality.clock():
        first = [ktime_get_ns(machine) for _ in range(5)]
    with equality.clock():
        assert [ktime_get_ns(machine) for _ in range(5)] == first == sorted(first)


def test_the_table_has_ratios_totals_and_means() -> None:
    rows = [
        Row("one", Slots({3: 10, 4: 10}, {3: 20, 4: 10}), verified=(30, 60), executed=(5, 10), time=(4.0, 8.0)),
        Row("two", Slots({3: 20, 4: 30}, {3: 10, 4: 10})),
    ]
    text = table(rows)
    assert "| one | 10 / 20 | 0.50 | 10 / 10 | 1.00 | 30 / 60 | 0.50 | 4.0 / 8.0 | 0.50 |" in text
    assert "| two | 20 / 10 | 2.00 | 30 / 10 | 3.00 | – | – | – | – |" in text
    assert "| **total** | 30 / 30 | 1.00 | 40 / 20 | 2.00 |" in text
    assert "| **geometric mean** | | 1.00 | | 1.73 | 0.50 | 0.50 | | 0.50 |" in text
    assert "v4: smaller than clang's 0, larger 1, of 2; worst ratio 3.00." in text
