"""Programs that mean harm: whatever they are, they end with a result or an error of ours, within their budget."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from purebpf.errors import AssemblerError, Unsupported, VmError
from purebpf.isa import opcodes as op
from purebpf.isa.codec import SLOT_BYTES, decode
from purebpf.isa.forms import rows
from purebpf.isa.instruction import WIDE_LOAD, Instruction
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType
from purebpf.vm.engine import VmEngine
from purebpf.vm.exec import run_instructions
from purebpf.vm.helpers import functions

BUDGET = 2000
FORMS = [form for form in rows() if form.opcode not in (WIDE_LOAD, op.GOTOX_OPCODE)]
HELPERS = sorted(functions())
TYPES = [ProgramType.XDP, ProgramType.SCHED_CLS, ProgramType.SOCKET_FILTER, ProgramType.CGROUP_SKB, ProgramType.TRACEPOINT,
         ProgramType.RAW_TRACEPOINT, ProgramType.PERF_EVENT, ProgramType.SYSCALL]  # fmt: skip
MAPS = [
    MapSpec("array", MapType.ARRAY, 4, 16, 2),
    MapSpec("hash", MapType.HASH, 8, 8, 2),
    MapSpec("lru", MapType.LRU_PERCPU_HASH, 4, 4, 2),
    MapSpec("programs", MapType.PROG_ARRAY, 4, 4, 2),
    MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 2),
    MapSpec("devices", MapType.DEVMAP, 4, 4, 2),
    MapSpec("queue", MapType.QUEUE, 0, 8, 2),
]


@settings(max_examples=400, deadline=None)
@given(data=st.binary(min_size=0, max_size=12 * SLOT_BYTES), memory=st.binary(max_size=16))
def test_random_bytes_never_escape(data: bytes, memory: bytes) -> None:
    try:
        result = run_instructions(decode(data), memory, budget=BUDGET)
    except (VmError, AssemblerError, Unsupported):
        return
    assert 0 <= result < 1 << 64


def instruction(source: random.Random, at: int, length: int) -> Instruction:
    """A valid instruction, instruction `at` of `length`, whose fields are mostly near something interesting."""
    form = source.choice(FORMS)
    cls = form.opcode & op.CLASS_MASK
    distance = source.randrange(length - at) if source.random() < 0.9 else -source.randrange(1, at + 2)
    offsets = [distance] if cls in (op.JMP, op.JMP32) else [0, -8, -16, 4, -512, 76, 80, source.randrange(-600, 600)]
    constants = [0, 1, -1, distance, source.choice(HELPERS), source.randrange(-(1 << 31), 1 << 31)]
    imm = source.choice(constants) if form.imm is None else form.imm
    if form.opcode == op.GOTOL_OPCODE or (form.opcode == op.CALL_OPCODE and form.src == op.CALL_LOCAL):
        imm = distance
    if form.opcode == op.CALL_OPCODE and form.src == op.CALL_HELPER:
        imm = source.choice(HELPERS)
    pointer = source.choice((10, 10, 10, 6, 2, source.randrange(10)))
    dst = pointer if cls in (op.ST, op.STX) and form.imm != op.LOAD_ACQUIRE else source.randrange(10)
    src = pointer if cls == op.LDX or form.imm == op.LOAD_ACQUIRE else source.randrange(11)
    if cls == op.STX and form.imm is not None and form.imm & op.FETCH:
        src %= 10
    return Instruction(
        form.opcode,
        dst if form.free_dst else 0,
        src if form.src is None else form.src,
        source.choice(offsets) if form.offset is None else form.offset,
        imm,
    )


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 1 << 64), length=st.integers(1, 40))
def test_random_instructions_with_maps_never_escape(seed: int, length: int) -> None:
    source = random.Random(seed)
    begin = [Instruction(0xBF, 6, 1), *(Instruction(0xB7, n, 0, 0, source.randrange(-4, 4)) for n in (0, 2, 3, 4, 5, 7, 8, 9))]
    pointers = [
        Instruction(0x61, source.randrange(2, 6), 6, source.choice((0, 4, 76))),
        Instruction(0xBF, 2, 10),
        Instruction(0x07, 2, 0, 0, -8),
    ]
    loads = [Instruction(0x18, source.randrange(1, 3), 1, 0, 0, source.choice(MAPS).name)]
    end = [Instruction(0xB7), Instruction(0x95)]
    body = [*begin, *pointers, *loads, *(instruction(source, at, length) for at in range(length)), *end]
    engine = VmEngine(budget=BUDGET, seed=1)
    maps = {spec.name: engine.create_map(spec) for spec in MAPS}
    try:
        program = engine.load_program(ProgramSpec("hostile", source.choice(TYPES), tuple(body)), maps)
        result = program.run(context=bytes(64) if program.spec.type in TYPES[4:] else None, cpu=source.randrange(2))
    except (VmError, Unsupported) as error:  # the second for a kernel function
        assert "program 'hostile'" in str(error).lower()
        return
    assert 0 <= result.value < 1 << 32
    assert program.executed <= BUDGET + 2 * len(body)
