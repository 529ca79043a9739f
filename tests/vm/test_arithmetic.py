"""Arithmetic, jumps and atomics against a plain model of RFC 9669, and the kernel against the same model.

One program does every operation on two numbers and stores each result, so that a whole example costs one run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from purebpf.isa import asm
from purebpf.isa.asm import DW, R0, R1, R2, R6, R7, R8, R9, Exit, Label, LoadImm64, LoadMem, Mov, StoreMem, W
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType
from tests.vm.support import ENGINES, Code, Loaded, engine_called, loaded, lookup, number, u32, u64

FULL, HALF = (1 << 64) - 1, (1 << 32) - 1


def s(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def quotient(a: int, b: int) -> int:
    """Rounded towards zero."""
    sign = -1 if (a < 0) != (b < 0) else 1
    return sign * (abs(a) // abs(b))


MODELS: dict[str, Callable[[int, int, int], int]] = {
    "Mov": lambda a, b, n: b,
    "Add": lambda a, b, n: a + b,
    "Sub": lambda a, b, n: a - b,
    "Mul": lambda a, b, n: a * b,
    "Div": lambda a, b, n: a // b if b else 0,
    "Mod": lambda a, b, n: a % b if b else a,
    "SDiv": lambda a, b, n: quotient(s(a, n), s(b, n)) if b else 0,
    "SMod": lambda a, b, n: s(a, n) - s(b, n) * quotient(s(a, n), s(b, n)) if b else a,
    "And": lambda a, b, n: a & b,
    "Or": lambda a, b, n: a | b,
    "Xor": lambda a, b, n: a ^ b,
    "Lsh": lambda a, b, n: a << b % n,
    "Rsh": lambda a, b, n: a >> b % n,
    "Arsh": lambda a, b, n: s(a, n) >> b % n,
}
JUMPS: dict[str, Callable[[int, int, int], bool]] = {
    "JEq": lambda a, b, n: a == b,
    "JNe": lambda a, b, n: a != b,
    "JGt": lambda a, b, n: a > b,
    "JGe": lambda a, b, n: a >= b,
    "JLt": lambda a, b, n: a < b,
    "JLe": lambda a, b, n: a <= b,
    "JSet": lambda a, b, n: bool(a & b),
    "JSGt": lambda a, b, n: s(a, n) > s(b, n),
    "JSGe": lambda a, b, n: s(a, n) >= s(b, n),
    "JSLt": lambda a, b, n: s(a, n) < s(b, n),
    "JSLe": lambda a, b, n: s(a, n) <= s(b, n),
}


def swapped(value: int, bits: int) -> int:
    return int.from_bytes((value & (1 << bits) - 1).to_bytes(bits // 8, "little"), "big")


Model = Callable[[int, int], int]
Case = tuple[str, Code, Model]
"""A name; code that changes r0, which holds the first number, by r8, which holds the second; the result it must have."""


def constructor(name: str) -> Any:
    return getattr(asm, name)


def arithmetic() -> Iterator[Case]:
    for name, model in MODELS.items():
        for bits, suffix in ((64, ""), (32, "32")):

            def expected(a: int, b: int, model: Any = model, bits: int = bits) -> int:
                mask = (1 << bits) - 1
                return int(model(a & mask, b & mask, bits)) & mask

            yield f"{name}{suffix}", (constructor(name + suffix).reg(R0, R8),), expected
    yield "Neg", (asm.Neg(R0),), lambda a, b: -a & FULL
    yield "Neg32", (asm.Neg32(R0),), lambda a, b: -a & HALF
    for bits in (8, 16, 32):
        yield f"MovSx {bits}", (asm.MovSx(R0, R8, bits),), lambda a, b, bits=bits: s(b, bits) & FULL  # type: ignore[misc]
    for bits in (8, 16):
        yield f"MovSx32 {bits}", (asm.MovSx32(R0, R8, bits),), lambda a, b, bits=bits: s(b, bits) & HALF  # type: ignore[misc]
    for bits in (16, 32, 64):
        yield f"Bswap {bits}", (asm.Bswap(R0, bits),), lambda a, b, bits=bits: swapped(a, bits)  # type: ignore[misc]
        yield f"ToBe {bits}", (asm.ToBe(R0, bits),), lambda a, b, bits=bits: swapped(a, bits)  # type: ignore[misc]
        yield f"ToLe {bits}", (asm.ToLe(R0, bits),), lambda a, b, bits=bits: a & (1 << bits) - 1  # type: ignore[misc]


def jumps() -> Iterator[Case]:
    for name, model in JUMPS.items():
        for bits, suffix in ((64, ""), (32, "32")):

            def expected(a: int, b: int, model: Any = model, bits: int = bits) -> int:
                mask = (1 << bits) - 1
                return int(model(a & mask, b & mask, bits))

            code = (constructor(name + suffix).reg(R0, R8, 2), Mov.imm(R0, 0), asm.Jump(1), Mov.imm(R0, 1))
            yield f"{name}{suffix}", code, expected


def atomics() -> Iterator[Case]:
    """On a copy of the first number in memory, at r6 + 0; the result is the memory afterwards, plus the old value."""
    operations: dict[str, Callable[[int, int], int]] = {
        "add": lambda a, b: a + b,
        "or_": lambda a, b: a | b,
        "and_": lambda a, b: a & b,
        "xor": lambda a, b: a ^ b,
    }
    for size, mask in ((DW, FULL), (W, HALF)):
        for name, model in operations.items():
            make = getattr(asm.Atomic, name)
            load = LoadMem(R0, R6, 0, DW)

            def plain(a: int, b: int, model: Any = model, mask: int = mask) -> int:
                return int(a & ~mask | model(a & mask, b & mask) & mask)

            def fetching(a: int, b: int, model: Any = model, mask: int = mask) -> int:
                return plain(a, b, model, mask) + (a & mask) & FULL

            yield f"{name} {size.name}", (StoreMem(R6, 0, R0, DW), make(R6, 0, R8, size), load), plain
            fetched = (Mov.reg(R9, R8), StoreMem(R6, 0, R0, DW), make(R6, 0, R9, size, fetch=True), load, asm.Add.reg(R0, R9))
            yield f"fetch {name} {size.name}", fetched, fetching

        def exchanged(a: int, b: int, mask: int = mask) -> int:
            return (a & ~mask | b & mask) + (a & mask) & FULL

        def compared(a: int, b: int, mask: int = mask) -> int:
            """r0 holds the number that is in memory, so the exchange always takes place."""
            return (a & ~mask | b & mask) + (a & mask) & FULL

        begin = (Mov.reg(R9, R8), StoreMem(R6, 0, R0, DW))
        end: Code = (LoadMem(R1, R6, 0, DW), asm.Add.reg(R1, R9), Mov.reg(R0, R1))
        yield f"xchg {size.name}", (*begin, asm.Atomic.xchg(R6, 0, R9, size), *end), exchanged
        end = (LoadMem(R1, R6, 0, DW), asm.Add.reg(R0, R1))
        cut = (asm.Mov32.reg(R0, R0),) if size == W else ()
        yield f"cmpxchg {size.name}", (*begin, *cut, asm.Atomic.cmpxchg(R6, 0, R8, size), *end), compared
        refused = (*begin, asm.Add.imm(R0, 1), *cut, asm.Atomic.cmpxchg(R6, 0, R8, size), *end)
        yield f"cmpxchg refused {size.name}", refused, lambda a, b, mask=mask: a + (a & mask) & FULL  # type: ignore[misc]


CASES = [*arithmetic(), *jumps(), *atomics()]
VALUES = MapSpec("values", MapType.ARRAY, 4, 24 + 8 * len(CASES), 1)


def everything() -> Code:
    """Values 1 and 2 are the numbers, value 0 is for the atomics, then come the results."""
    code: list[Any] = [*lookup("values", R6), LoadMem(R7, R6, 8, DW), LoadMem(R8, R6, 16, DW)]
    for index, (_, instructions, _) in enumerate(CASES):
        code += [Mov.reg(R0, R7), *instructions, StoreMem(R6, 24 + 8 * index, R0, DW)]
    return [*code, Mov.imm(R0, 1), Exit()]


@pytest.fixture(scope="module", params=ENGINES)
def calculator(request: pytest.FixtureRequest) -> Iterator[Loaded]:
    with loaded(engine_called(request.param), everything(), maps=[VALUES]) as made:
        yield made


BORDERS = [0, 1, 2, 7, 31, 32, 33, 63, 64, 0x7FFF_FFFF, 0x8000_0000, HALF, 1 << 32, 1 << 63, (1 << 63) - 1, FULL, FULL - 1]
NUMBERS = st.one_of(st.sampled_from(BORDERS), st.integers(0, FULL), st.integers(0, 300), st.integers(0, HALF))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(a=NUMBERS, b=NUMBERS)
def test_every_operation_gives_what_the_model_says(calculator: Loaded, a: int, b: int) -> None:
    values = calculator.maps["values"]
    values.update(u32(0), bytes(8) + u64(a) + u64(b) + bytes(8 * len(CASES)))
    assert calculator.run().value == 1
    found = values.lookup(u32(0))
    assert found is not None
    results = [number(found[24 + 8 * index :][:8]) for index in range(len(CASES))]
    wrong = [
        f"{name}: {result:#x}, not {model(a, b):#x}"
        for (name, _, model), result in zip(CASES, results, strict=True)
        if result != model(a, b)
    ]
    assert not wrong, f"of {a:#x} and {b:#x}"


IMMEDIATES = st.one_of(st.sampled_from([0, 1, -1, 31, -(1 << 31), (1 << 31) - 1]), st.integers(-(1 << 31), (1 << 31) - 1))


@settings(max_examples=150, deadline=None)
@given(a=NUMBERS, imm=IMMEDIATES, name=st.sampled_from(sorted(MODELS)), narrow=st.booleans())
def test_constants_are_sign_extended(a: int, imm: int, name: str, narrow: bool) -> None:
    bits = 32 if narrow else 64
    mask = (1 << bits) - 1
    code = (LoadImm64(R0, a), constructor(f"{name}{'32' if narrow else ''}").imm(R0, imm), Exit())
    assert run_bare(code) == MODELS[name](a & mask, imm & mask, bits) & mask


@settings(max_examples=150, deadline=None)
@given(a=NUMBERS, imm=IMMEDIATES, name=st.sampled_from(sorted(JUMPS)), narrow=st.booleans())
def test_jumps_compare_with_sign_extended_constants(a: int, imm: int, name: str, narrow: bool) -> None:
    bits = 32 if narrow else 64
    mask = (1 << bits) - 1
    jump = constructor(f"{name}{'32' if narrow else ''}").imm(R2, imm, "yes")
    code = (Mov.imm(R0, 0), LoadImm64(R2, a), jump, Exit(), Label("yes"), Mov.imm(R0, 1), Exit())
    assert run_bare(code) == JUMPS[name](a & mask, imm & mask, bits)


def run_bare(code: Code) -> int:
    from purebpf.vm.exec import run_instructions

    return run_instructions(asm.assemble(code))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ((asm.ToBe(R0, 16),), 0x7788),
        ((asm.ToLe(R0, 16),), 0x8877),
        ((asm.ToLe(R0, 64),), 0x8877_6655_4433_2211),
        ((asm.Bswap(R0, 32),), 0x8877_6655),
    ],
)
def test_a_big_endian_machine_swaps_the_other_way(code: Code, expected: int) -> None:
    from purebpf.vm.exec import run_instructions

    program = asm.assemble((LoadImm64(R0, 0x1122_3344_5566_7788), *code, Exit()))
    assert run_instructions(program, byteorder="big") == expected


def test_a_big_endian_machine_loads_and_stores_the_high_byte_first() -> None:
    from purebpf.vm.exec import run_instructions

    program = asm.assemble((LoadMem(R0, R1, 0, W), StoreMem(R1, 4, R0, asm.H), LoadMem(R2, R1, 4, asm.B), asm.Lsh.imm(R2, 32),
                            asm.Or.reg(R0, R2), Exit()))  # fmt: skip
    assert run_instructions(program, bytes.fromhex("1122334400000000"), byteorder="big") == 0x33_1122_3344
