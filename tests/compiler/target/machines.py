"""Random machine code over virtual registers, and a simulator for it, before and after register allocation."""

from __future__ import annotations

import random

from purebpf.compiler.target.forget import CLEAR
from purebpf.compiler.target.machine import CALL_CLOBBERS, FIRST_VIRTUAL, Inst, MBlock, MFunction, Reg, Slot
from purebpf.isa.opcodes import ADD, ALU64, CALL_OPCODE, EXIT_OPCODE, JEQ, JMP, MOV, XOR, K, X

M64 = (1 << 64) - 1
LOAD, STORE, ATOMIC = 0x79, 0x7B, 0xDB  # 64 bits wide
FETCH_ADD, COMPARE_EXCHANGE = 0x01, 0xF1


def move(to: Reg, source: Reg) -> Inst:
    return Inst(ALU64 | MOV | X, to, source, defs=(to,), uses=(source,), move=True)


def constant(to: Reg, value: int) -> Inst:
    return Inst(ALU64 | MOV | K, to, imm=value, defs=(to,), remat=True)


def add(to: Reg, source: Reg, op: int = ADD) -> Inst:
    return Inst(ALU64 | op | X, to, source, defs=(to,), uses=(to, source))


def call(arguments: int) -> Inst:
    return Inst(CALL_OPCODE, imm=arguments, defs=(0,), uses=tuple(range(1, arguments + 1)), clobbers=CALL_CLOBBERS[1:])


def load(to: Reg, pointer: Reg, offset: int = 0) -> Inst:
    return Inst(LOAD, to, pointer, offset, defs=(to,), uses=(pointer,))


def store(pointer: Reg, value: Reg, offset: int = 0) -> Inst:
    return Inst(STORE, pointer, value, offset, uses=(pointer, value))


def fetch_add(pointer: Reg, value: Reg) -> Inst:
    return Inst(ATOMIC, pointer, value, imm=FETCH_ADD, defs=(value,), uses=(pointer, value))


def compare_exchange(pointer: Reg, value: Reg) -> Inst:
    return Inst(ATOMIC, pointer, value, imm=COMPARE_EXCHANGE, defs=(0,), uses=(pointer, value, 0))


def address(to: Reg, slot: Slot) -> Inst:
    return Inst(ALU64 | MOV | X, to, lea=True, slot=slot, defs=(to,), remat=True)


def branch(register: Reg, target: MBlock) -> Inst:
    return Inst(JMP | JEQ | K, register, imm=0, uses=(register,), target=target)


def leave() -> Inst:
    return Inst(EXIT_OPCODE, uses=(0,))


def random_function(seed: int, variables: int = 14, blocks: int = 6, length: int = 8) -> MFunction:
    """A function whose variables are all set at the start; forward branches, one counted loop, calls with argument moves."""
    rng = random.Random(seed)
    fn = MFunction(f"random{seed}")
    fn.blocks = [MBlock(f"b{i}") for i in range(blocks)]
    fn.slots.append(Slot(16, 8, "array"))
    names = [fn.virtual() for _ in range(variables)]
    fn.spill_last = set(rng.sample(names, variables // 4))
    counter = fn.virtual()
    entry = fn.blocks[0].insts
    entry += [constant(name, rng.randrange(1 << 20)) if rng.random() < 0.6 else move(name, 1) for name in names]
    entry.append(constant(counter, 3))
    for i, block in enumerate(fn.blocks):
        for _ in range(rng.randrange(1, length)):
            block.insts += _random_step(rng, fn, names)
        if i + 1 == blocks:
            block.insts += [move(0, names[0]), *(add(0, name) for name in names[1:]), leave()]
            break
        block.next = fn.blocks[i + 1]
        if rng.random() < 0.6:
            block.insts.append(branch(rng.choice(names), fn.blocks[rng.randrange(i + 1, blocks)]))
    last = fn.blocks[-2]  # a way back, taken until the counter is 0
    if last.insts[-1].target is not None:
        last.insts.pop()
    done = fn.blocks[-1]
    last.insts += [Inst(ALU64 | ADD | K, counter, imm=-1, defs=(counter,), uses=(counter,)), branch(counter, done)]
    last.next = fn.blocks[min(1, blocks - 2)]
    return fn


def _random_step(rng: random.Random, fn: MFunction, names: list[Reg]) -> list[Inst]:
    a, b, c = (rng.choice(names) for _ in range(3))
    made = fn.virtual()
    count = rng.randrange(1, 6)
    steps: list[tuple[int, list[Inst]]] = [  # each with how often it comes
        (6, [move(a, b)]),
        (6, [add(a, b, rng.choice((ADD, XOR)))]),
        (3, [move(made, a), add(made, b), move(c, made)]),
        (2, [constant(a, rng.randrange(1 << 20))]),
        (1, [constant(made, rng.randrange(1 << 20)), add(a, made), store(b, made)]),
        (1, [address(made, fn.slots[0]), move(a, made), store(made, b)]),
        (2, [load(a, b, 8)]),
        (2, [store(a, b, 8)]),
        (1, [move(made, a), fetch_add(b, made), move(c, made)]),
        (1, [move(0, a), compare_exchange(b, c), move(c, 0)]),
        (3, [*(move(i, rng.choice(names)) for i in range(1, count + 1)), call(count), move(a, 0)]),
    ]
    return rng.choices([insts for _, insts in steps], [often for often, _ in steps])[0]


def simulate(fn: MFunction) -> list[int]:
    """Run it; gives the arguments of all calls, what is stored where, and the result, in order.

    Calls scramble what they clobber. A load gives a number made from its address, so memory needs no keeping.
    """
    registers: dict[object, int] = {1: 77, 2: 78, 3: 79, 4: 80, 5: 81}
    trace: list[int] = []
    block: MBlock | None = fn.blocks[0]
    steps = 0
    while block is not None:
        following = block.next
        for inst in block.insts:
            steps += 1
            assert steps < 20_000
            if inst.opcode == EXIT_OPCODE:
                return [*trace, registers[0]]
            if inst.opcode == CALL_OPCODE:
                arguments = [registers[r] for r in inst.uses]
                trace += arguments
                for r in inst.clobbers:
                    registers[r] = 0xDEAD_0000 + r
                registers[0] = sum(arguments) * 31 & M64
            elif inst.target is not None:
                if registers[inst.dst] == 0:
                    following = inst.target
            elif inst.opcode == CLEAR:
                registers[inst.slot] = 0
            elif inst.opcode in (LOAD, STORE, ATOMIC):
                _memory(inst, registers, trace)
            elif inst.lea:
                registers[inst.dst] = 0x5000_0000 + fn.slots.index(inst.slot) if inst.slot else 0
            else:
                _arithmetic(inst, registers)
        block = following
    raise AssertionError("fell off the end")


def _memory(inst: Inst, registers: dict[object, int], trace: list[int]) -> None:
    if inst.slot is not None:  # spill code
        place, register = (inst.slot, inst.src) if inst.opcode == STORE else (inst.dst, inst.slot)
        registers[place] = registers[register]
    elif inst.opcode == LOAD:
        registers[inst.dst] = (registers[inst.src] * 31 + inst.offset) & M64
    else:
        trace += [registers[inst.dst], registers[inst.src], inst.offset]
        if inst.imm == COMPARE_EXCHANGE:
            trace.append(registers[0])
            registers[0] = (registers[0] * 7 + registers[inst.dst]) & M64
        elif inst.imm == FETCH_ADD:
            registers[inst.src] = registers[inst.dst] * 37 & M64


def _arithmetic(inst: Inst, registers: dict[object, int]) -> None:
    other = registers[inst.src] if inst.opcode & X else inst.imm
    operation = inst.opcode & 0xF0
    if operation == MOV:
        registers[inst.dst] = other & M64
    elif operation == ADD:
        registers[inst.dst] = registers[inst.dst] + other & M64
    else:
        registers[inst.dst] ^= other


def virtual_registers(fn: MFunction) -> set[Reg]:
    return {r for block in fn.blocks for inst in block.insts for r in (*inst.defs, *inst.uses) if r >= FIRST_VIRTUAL}
