"""Programs with maps, calls, callbacks and tail calls: what must hold here must hold in the kernel."""

from __future__ import annotations

import errno

import pytest

from purebpf.engine import Engine
from purebpf.errors import Error, NotLoaded
from purebpf.isa.asm import (
    DW,
    FP,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    Add,
    Atomic,
    B,
    Call,
    Exit,
    JEq,
    JGt,
    JNe,
    Jump,
    Label,
    LoadFunc,
    LoadImm64,
    LoadMapPtr,
    LoadMapValue,
    LoadMem,
    LoadMemSx,
    Lsh,
    MayGoto,
    Mov,
    StoreImm,
    StoreMem,
    Sub,
    W,
    assemble,
)
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType
from purebpf.vm.engine import VmEngine
from tests.vm.support import ENGINES, OUT, Code, engine_called, helper, loaded, lookup, number, run, u32, u64


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return engine_called(request.param)


COUNTS = MapSpec("counts", MapType.ARRAY, 4, 8, 4)
TABLE = MapSpec("table", MapType.HASH, 4, 8, 2)
RETURN_0 = (Mov.imm(R0, 0), Exit())


def on_stack(offset: int, value: int, register: int) -> Code:
    """A 32-bit value on the stack, and its address."""
    return (StoreImm(FP, offset, value, W), Mov.reg(register, FP), Add.imm(register, offset))


def update(map: str, key: int, value: int, flags: int = 0) -> Code:
    """`map[key] = value`, 8 bytes; r0 is the result."""
    return (
        *on_stack(-4, key, R2),
        StoreImm(FP, -16, value, DW),
        Mov.reg(R3, FP),
        Add.imm(R3, -16),
        LoadMapPtr(R1, map),
        Mov.imm(R4, flags),
        helper("map_update_elem"),
    )


def test_pointer_from_a_lookup_is_the_map_itself(engine: Engine) -> None:
    code = (*lookup("counts", R6, 2), Mov.imm(R1, 5), Atomic.add(R6, 0, R1, DW), LoadMem(R0, R6, 0, DW), Exit())
    with loaded(engine, code, maps=[COUNTS]) as made:
        made.maps["counts"].update(u32(2), u64(10))
        assert [made.run().value for _ in range(3)] == [15, 20, 25]
        assert made.maps["counts"].lookup(u32(2)) == u64(25)
        made.maps["counts"].update(u32(2), u64(100))
        assert made.run().value == 105


def test_lookup_of_what_is_not_there_is_0(engine: Engine) -> None:
    assert run(engine, (*lookup("counts", R6, 4), *RETURN_0), maps=[COUNTS]).value == 99
    assert run(engine, (*lookup("table", R6, 4), *RETURN_0), maps=[TABLE]).value == 99


@pytest.mark.parametrize(
    ("map", "key", "flags", "expected"),
    [
        ("counts", 3, 0, 0),
        ("counts", 4, 0, -errno.E2BIG),
        ("counts", 0, 1, -errno.EEXIST),
        ("counts", 0, 5, -errno.EEXIST),
        ("counts", 0, 6, -errno.EINVAL),
        ("table", 1, 0, 0),
        ("table", 1, 1, -errno.EEXIST),
        ("table", 2, 1, 0),
        ("table", 2, 2, -errno.ENOENT),
        ("table", 2, 3, -errno.EINVAL),
    ],
)
def test_update_gives_0_or_an_errno(engine: Engine, map: str, key: int, flags: int, expected: int) -> None:
    code = (*update(map, key, 77, flags), Exit())
    with loaded(engine, code, maps=[COUNTS, TABLE]) as made:
        made.maps["table"].update(u32(1), u64(1))
        assert made.run().value == expected & 0xFFFF_FFFF
        if not expected:
            assert made.maps[map].lookup(u32(key)) == u64(77)


def test_update_of_a_full_hash(engine: Engine) -> None:
    code = (*update("table", 1, 1), *update("table", 2, 2), *update("table", 3, 3), Exit())
    assert run(engine, code, maps=[TABLE]).value == -errno.E2BIG & 0xFFFF_FFFF


def test_delete_gives_0_or_an_errno(engine: Engine) -> None:
    delete = (*on_stack(-4, 1, R2), LoadMapPtr(R1, "table"), helper("map_delete_elem"))
    code = (*update("table", 1, 1), *delete, JEq.imm(R0, 0, 1), Exit(), *delete, Exit())
    assert run(engine, code, maps=[TABLE]).value == -errno.ENOENT & 0xFFFF_FFFF
    array = (*on_stack(-4, 1, R2), LoadMapPtr(R1, "counts"), helper("map_delete_elem"), Exit())
    assert run(engine, array, maps=[COUNTS]).value == -errno.EINVAL & 0xFFFF_FFFF


@pytest.mark.parametrize("type", [MapType.HASH, MapType.LRU_HASH, MapType.PERCPU_HASH])
def test_deleted_value_can_still_be_read_in_the_same_run(engine: Engine, type: MapType) -> None:
    table = MapSpec("table", type, 4, 8, 64)
    code = (
        *update("table", 1, 1234),
        *lookup("table", R6, 1),
        *on_stack(-4, 1, R2),
        LoadMapPtr(R1, "table"),
        helper("map_delete_elem"),
        LoadMem(R0, R6, 0, DW),
        Exit(),
    )
    with loaded(engine, code, maps=[table]) as made:
        assert made.run().value == 1234
        assert made.maps["table"].lookup(u32(1)) is None


def test_update_replaces_the_entry_of_a_hash_under_an_older_pointer(engine: Engine) -> None:
    code = (*update("table", 1, 111), *lookup("table", R6, 1), *update("table", 1, 222), LoadMem(R0, R6, 0, DW), Exit())
    with loaded(engine, code, maps=[TABLE]) as made:
        assert made.run().value == 111
        assert made.maps["table"].lookup(u32(1)) == u64(222)


def test_update_of_an_array_writes_in_place(engine: Engine) -> None:
    code = (*update("counts", 1, 111), *lookup("counts", R6, 1), *update("counts", 1, 222), LoadMem(R0, R6, 0, DW), Exit())
    assert run(engine, code, maps=[COUNTS]).value == 222


@pytest.mark.parametrize("type", [MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH])
def test_update_by_a_program_is_of_its_own_cpu(engine: Engine, type: MapType) -> None:
    table = MapSpec("table", type, 4, 8, 64)
    with loaded(engine, (*update("table", 1, 7), *RETURN_0), maps=[table]) as made:
        assert made.run().value == 0
        value = made.maps["table"].lookup(u32(1))
        assert value is not None
        values = [number(value[start : start + 8]) for start in range(0, len(value), 8)]
        assert sorted(values) == [0] * (engine.possible_cpus - 1) + [7]


def test_cpu_of_a_run_can_be_chosen() -> None:
    engine = VmEngine(possible_cpus=3)
    table = engine.create_map(MapSpec("table", MapType.PERCPU_ARRAY, 4, 8, 64))
    code = (*lookup("table", R6, 1), helper("get_smp_processor_id"), Add.imm(R0, 10), StoreMem(R6, 0, R0, DW), *RETURN_0)
    program = engine.load_program(ProgramSpec("test", ProgramType.XDP, assemble(code)), {"table": table})
    for cpu in (0, 2):
        program.run(cpu=cpu)
    assert table.lookup(u32(1)) == u64(10) + u64(0) + u64(12)
    engine.cpu = 1
    program.run()
    assert table.lookup(u32(1)) == u64(10) + u64(11) + u64(12)
    with pytest.raises(Error, match="on CPU 3: there are CPUs 0 to 2"):
        program.run(cpu=3)


def test_lookup_of_another_cpu() -> None:
    table = MapSpec("table", MapType.PERCPU_ARRAY, 4, 8, 1)
    call = (*on_stack(-4, 0, R2), LoadMapPtr(R1, "table"), Mov.imm(R3, 1), helper("map_lookup_percpu_elem"))
    code = (*call, JNe.imm(R0, 0, 1), Exit(),
            LoadMem(R0, R0, 0, DW), Exit())  # fmt: skip
    with loaded(VmEngine(), code, maps=[table]) as made:
        made.maps["table"].update(u32(0), u64(5) + u64(6))
        assert made.run().value == 6


def test_lru_lookup_by_a_program_keeps_the_entry() -> None:
    table = MapSpec("table", MapType.LRU_HASH, 4, 8, 2)
    code = (*update("table", 1, 1), *update("table", 2, 2), *lookup("table", R6, 1), *update("table", 3, 3), *RETURN_0)
    with loaded(VmEngine(), code, maps=[table]) as made:
        made.run()
        assert [made.maps["table"].lookup(u32(key)) is not None for key in (1, 2, 3)] == [True, False, True]


def test_value_of_an_array_with_one_element_by_a_wide_load(engine: Engine) -> None:
    code = (LoadMapValue(R1, "out", 8), LoadMem(R2, R1, 0, DW), Add.imm(R2, 1), StoreMem(R1, 8, R2, DW), *RETURN_0)
    with loaded(engine, code, maps=[OUT]) as made:
        made.maps["out"].update(u32(0), (bytes(8) + u64(41)).ljust(512, b"\0"))
        made.run()
        assert made.out()[:24] == bytes(8) + u64(41) + u64(42)


def test_callee_keeps_r6_to_r9_and_has_a_stack_of_its_own(engine: Engine) -> None:
    code: Code = (
        *[Mov.imm(register, register) for register in (R6, R7, R8, R9)],
        StoreImm(FP, -8, 1, DW),
        Mov.imm(R1, 10),
        Mov.imm(R2, 20),
        Call.local("f"),
        *[Add.reg(R0, register) for register in (R6, R7, R8, R9)],
        LoadMem(R1, FP, -8, DW),
        Add.reg(R0, R1),
        Exit(),
        Label("f"),
        StoreImm(FP, -8, 100, DW),
        *[Mov.imm(register, 0) for register in (R6, R7, R8, R9)],
        Mov.reg(R0, R1),
        Add.reg(R0, R2),
        Exit(),
    )
    assert run(engine, code).value == 30 + 6 + 7 + 8 + 9 + 1


def test_callee_can_write_the_stack_of_its_caller(engine: Engine) -> None:
    code = (StoreImm(FP, -8, 1, DW), Mov.reg(R1, FP), Add.imm(R1, -8), Call.local("f"), LoadMem(R0, FP, -8, DW), Exit(),
            Label("f"), StoreImm(R1, 0, 55, DW), *RETURN_0)  # fmt: skip
    assert run(engine, code).value == 55


def nested(depth: int) -> Code:
    """`depth` functions that call each other and add 1, the program being the first."""
    code: list[object] = []
    for level in range(depth):
        code += [
            Label(f"f{level}"),
            *([Call.local(f"f{level + 1}")] if level + 1 < depth else [Mov.imm(R0, 0)]),
            Add.imm(R0, 1),
            Exit(),
        ]
    return code  # type: ignore[return-value]


def test_eight_functions_deep_is_the_most(engine: Engine) -> None:
    assert run(engine, nested(8)).value == 8
    with pytest.raises(Error):
        run(engine, nested(9))


def test_sign_extending_loads(engine: Engine) -> None:
    code = (StoreImm(FP, -8, -2, DW), LoadMemSx(R0, FP, -8, B), LoadMemSx(R1, FP, -8, W), Add.reg(R0, R1), Exit())
    assert run(engine, code).value == -4 & 0xFFFF_FFFF


def test_acquire_and_release(engine: Engine) -> None:
    code = (Mov.imm(R1, 77), Atomic.store_release(FP, -8, R1, DW), Atomic.load_acquire(R0, FP, -8, DW), Exit())
    assert run(engine, code).value == 77


def test_may_goto_lets_a_loop_run(engine: Engine) -> None:
    code = (
        Mov.imm(R0, 0),
        Label("again"),
        MayGoto("out"),
        Add.imm(R0, 1),
        JGt.imm(R0, 1000, "out"),
        Jump("again"),
        Label("out"),
        Exit(),
    )
    assert run(engine, code).value == 1001


def test_may_goto_ends_an_endless_loop() -> None:
    code = (Mov.imm(R0, 0), Label("again"), MayGoto("out"), Add.imm(R0, 1), Jump("again"), Label("out"), Exit())
    assert run(VmEngine(), code).value == 1 << 23


def looped(count: int, callback: Code, flags: int = 0) -> Code:
    """`bpf_loop` with the address of a number on the stack; the program gives the number, or the helper's result if `flags`."""
    return (
        StoreImm(FP, -8, 0, DW),
        Mov.imm(R1, count),
        LoadFunc(R2, "each"),
        Mov.reg(R3, FP),
        Add.imm(R3, -8),
        Mov.imm(R4, flags),
        helper("loop"),
        Mov.reg(R6, R0),
        LoadMem(R0, FP, -8, DW),
        Lsh.imm(R6, 16),
        Add.reg(R0, R6),
        Exit(),
        Label("each"),
        *callback,
    )


ADD_INDEX = (LoadMem(R3, R2, 0, DW), Add.reg(R3, R1), StoreMem(R2, 0, R3, DW), Mov.imm(R0, 0), Exit())


def test_loop_calls_back_with_index_and_context() -> None:
    assert run(VmEngine(), looped(10, ADD_INDEX)).value == 45 + (10 << 16)


def test_loop_ends_when_the_callback_gives_1() -> None:
    stop_at_3 = (Mov.imm(R0, 0), JNe.imm(R1, 3, 1), Mov.imm(R0, 1), Exit())
    assert run(VmEngine(), looped(10, stop_at_3)).value == 4 << 16


def test_loop_refuses_too_many_rounds() -> None:
    assert run(VmEngine(), looped((1 << 23) + 1, ADD_INDEX)).value == (-errno.E2BIG << 16) & 0xFFFF_FFFF


@pytest.mark.parametrize(("type", "keys"), [(MapType.HASH, [2, 5]), (MapType.ARRAY, [0, 1, 2, 3, 4, 5])])
def test_walk_over_a_map_calls_back_with_keys_and_values(type: MapType, keys: list[int]) -> None:
    table = MapSpec("table", type, 4, 8, 6)
    code = (
        StoreImm(FP, -8, 0, DW),
        LoadMapPtr(R1, "table"),
        LoadFunc(R2, "each"),
        Mov.reg(R3, FP),
        Add.imm(R3, -8),
        Mov.imm(R4, 0),
        helper("for_each_map_elem"),
        Lsh.imm(R0, 16),
        LoadMem(R1, FP, -8, DW),
        Add.reg(R0, R1),
        Exit(),
        Label("each"),  # context += key * 16 + value
        LoadMem(R5, R2, 0, W),
        Lsh.imm(R5, 4),
        LoadMem(R6, R3, 0, DW),
        Add.reg(R5, R6),
        LoadMem(R6, R4, 0, DW),
        Add.reg(R6, R5),
        StoreMem(R4, 0, R6, DW),
        *RETURN_0,
    )
    with loaded(VmEngine(), code, maps=[table]) as made:
        for key in (2, 5):
            made.maps["table"].update(u32(key), u64(key + 1))
        assert made.run().value == (len(keys) << 16) + 16 * sum(keys) + 3 + 6


PROGRAMS = MapSpec("programs", MapType.PROG_ARRAY, 4, 4, 4)


def tail_call(index: int, otherwise: int) -> Code:
    """Go on in `programs[index]`; the result is `otherwise` when there is none."""
    return (LoadMapPtr(R2, "programs"), Mov.imm(R3, index), helper("tail_call"), Mov.imm(R0, otherwise), Exit())


def test_tail_call_goes_on_in_the_other_program(engine: Engine) -> None:
    table = engine.create_map(PROGRAMS)
    maps = {"programs": table}
    first = engine.load_program(ProgramSpec("first", ProgramType.XDP, assemble(tail_call(1, 50))), maps)
    second = engine.load_program(ProgramSpec("second", ProgramType.XDP, (Mov.imm(R0, 60), Exit())), {})
    try:
        assert first.run().value == 50
        table.update(u32(1), u32(second.handle))
        assert first.run().value == 60
        second.close()  # the table holds it
        assert first.run().value == 60
        table.delete(u32(1))
        assert first.run().value == 50
    finally:
        for each in (first, second, table):
            each.close()


@pytest.mark.parametrize("index", [4, 1000, -1])
def test_tail_call_beyond_the_table_fails(engine: Engine, index: int) -> None:
    assert run(engine, tail_call(index, 50), maps=[PROGRAMS]).value == 50


def test_tail_calls_are_at_most_33(engine: Engine) -> None:
    count = (LoadMapPtr(R2, "programs"), *lookup("counts", R7), Mov.imm(R1, 1), Atomic.add(R7, 0, R1, DW), Mov.reg(R1, R6))
    code = (Mov.reg(R6, R1), *count, *tail_call(0, 1))
    with loaded(engine, code, maps=[PROGRAMS, COUNTS]) as made:
        made.maps["programs"].update(u32(0), u32(made.program.handle))
        made.run()
        assert made.maps["counts"].lookup(u32(0)) == u64(34)
        made.maps["programs"].delete(u32(0))


def test_tail_call_in_a_function_ends_only_the_function() -> None:
    engine = VmEngine()
    code = (Call.local("f"), Add.imm(R0, 1000), Exit(), Label("f"), *tail_call(0, 5))
    table = engine.create_map(PROGRAMS)
    program = engine.load_program(ProgramSpec("caller", ProgramType.XDP, assemble(code)), {"programs": table})
    target = engine.load_program(ProgramSpec("target", ProgramType.XDP, (Mov.imm(R0, 7), Exit())), {})
    try:
        assert program.run().value == 1005
        table.update(u32(0), u32(target.handle))
        assert program.run().value == 1007
    finally:
        for each in (program, target, table):
            each.close()


def test_program_array_of_another_type_is_refused() -> None:
    engine = VmEngine()
    table = engine.create_map(PROGRAMS)
    engine.load_program(ProgramSpec("one", ProgramType.XDP, assemble(tail_call(0, 1))), {"programs": table})
    with pytest.raises(Error, match="a program array of xdp programs, in a sched_cls program"):
        engine.load_program(ProgramSpec("two", ProgramType.SCHED_CLS, assemble(tail_call(0, 1))), {"programs": table})


def test_queue_from_a_program() -> None:
    queue = MapSpec("queue", MapType.QUEUE, 0, 8, 2)

    def call(name: str, value: int | None = None) -> Code:
        store = () if value is None else (StoreImm(FP, -8, value, DW),)
        return (*store, LoadMapPtr(R1, "queue"), Mov.reg(R2, FP), Add.imm(R2, -8), Mov.imm(R3, 0), helper(name))

    code = (
        *call("map_pop_elem", 9),
        Mov.reg(R6, R0),
        *call("map_push_elem", 5),
        *call("map_push_elem", 6),
        *call("map_push_elem", 7),
        Mov.reg(R7, R0),
        *call("map_peek_elem", 0),
        *call("map_pop_elem", 0),
        LoadMem(R8, FP, -8, DW),
        LoadMapValue(R9, "out"),
        StoreMem(R9, 0, R6, DW),
        StoreMem(R9, 8, R7, DW),
        StoreMem(R9, 16, R8, DW),
        *RETURN_0,
    )
    with loaded(VmEngine(), code, maps=[queue, OUT]) as made:
        made.run()
        assert made.out()[:24] == u64(-errno.ENOENT) + u64(-errno.E2BIG) + u64(5)
        assert made.maps["queue"].lookup(b"") == u64(6)


def test_map_that_programs_may_not_write() -> None:
    from purebpf.errors import VmError

    table = MapSpec("counts", MapType.ARRAY, 4, 8, 4, flags=128)  # BPF_F_RDONLY_PROG
    with pytest.raises(VmError, match="in value 0 of the map 'counts', which is read-only"):
        run(VmEngine(), (*lookup("counts", R6), StoreImm(R6, 0, 1, DW), *RETURN_0), maps=[table])
    with pytest.raises(VmError, match="writes to the map 'counts', which its flags make read-only for programs"):
        run(VmEngine(), (*update("counts", 1, 1), *RETURN_0), maps=[table])


def test_map_lives_as_long_as_a_program_uses_it() -> None:
    engine = VmEngine()
    counts = engine.create_map(COUNTS)
    code = assemble((*lookup("counts", R6), LoadMem(R0, R6, 0, DW), Exit()))
    program = engine.load_program(ProgramSpec("test", ProgramType.XDP, code), {"counts": counts})
    counts.update(u32(0), u64(5))
    counts.close()
    assert program.run().value == 5
    regions = len(engine.memory.readable)
    program.close()
    assert len(engine.memory.readable) < regions
    assert not engine.machine.maps
    with pytest.raises(NotLoaded):
        program.run()


def test_missing_map_is_an_error_that_names_those_given() -> None:
    with pytest.raises(Error, match="uses the map 'counts', which was not given to load it with"):
        engine = VmEngine()
        other = engine.create_map(MapSpec("other", MapType.ARRAY, 4, 4, 1))
        engine.load_program(
            ProgramSpec("test", ProgramType.XDP, assemble((*lookup("counts", R6), *RETURN_0))), {"other": other}
        )


def test_map_of_another_engine_is_refused() -> None:
    counts = VmEngine().create_map(COUNTS)
    with pytest.raises(Error, match="does not belong to this virtual machine"):
        VmEngine().load_program(
            ProgramSpec("test", ProgramType.XDP, assemble((*lookup("counts", R6), *RETURN_0))), {"counts": counts}
        )


def test_instructions_are_counted() -> None:
    engine = VmEngine()
    code = assemble((Mov.imm(R1, 10), Label("l"), Sub.imm(R1, 1), JNe.imm(R1, 0, "l"), LoadImm64(R0, 3), Exit()))
    program = engine.load_program(ProgramSpec("test", ProgramType.XDP, code), {})
    program.run()
    assert program.executed == 1 + 10 * 2 + 2
