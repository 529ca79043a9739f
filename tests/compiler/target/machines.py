"""Random machine code over virtual registers, and a simulator for it, before and after register allocation."""

from __future__ import annotations

import random

from purebpf.compiler.target.machine import CALL_CLOBBERS, FIRST_VIRTUAL, FRAME_POINTER, Inst, MBlock, MFunction, Reg
from purebpf.isa.opcodes import ADD, ALU64, CALL_OPCODE, EXIT_OPCODE, JEQ, JMP, MOV, XOR, K, X

M64 = (1 << 64) - 1


def move(to: Reg, source: Reg) -> Inst:
    return Inst(ALU64 | MOV | X, to, source, defs=(to,), uses=(source,), move=True)


def constant(to: Reg, value: int) -> Inst:
    return Inst(ALU64 | MOV | K, to, imm=value, defs=(to,), remat=True)


def add(to: Reg, source: Reg, op: int = ADD) -> Inst:
    return Inst(ALU64 | op | X, to, source, defs=(to,), uses=(to, source))


def call(arguments: int) -> Inst:
    return Inst(CALL_OPCODE, imm=arguments, defs=(0,), uses=tuple(range(1, arguments + 1)), clobbers=CALL_CLOBBERS[1:])


def branch(register: Reg, target: MBlock) -> Inst:
    return Inst(JMP | JEQ | K, register, imm=0, uses=(register,), target=target)


def leave() -> Inst:
    return Inst(EXIT_OPCODE, uses=(0,))


def random_function(seed: int, variables: int = 14, blocks: int = 6, length: int = 8) -> MFunction:
    """A function whose variables are all set at the start; forward branches, one counted loop, calls with argument moves."""
    rng = random.Random(seed)
    fn = MFunction(f"random{seed}")
    fn.blocks = [MBlock(f"b{i}") for i in range(blocks)]
    names = [fn.virtual() for _ in range(variables)]
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
    kind = rng.random()
    a, b = rng.choice(names), rng.choice(names)
    if kind < 0.3:
        return [move(a, b)]
    if kind < 0.6:
        return [add(a, b, rng.choice((ADD, XOR)))]
    if kind < 0.75:
        made = fn.virtual()
        return [move(made, a), add(made, b), move(rng.choice(names), made)]
    if kind < 0.85:
        return [constant(a, rng.randrange(1 << 20))]
    count = rng.randrange(1, 6)
    return [*(move(i, rng.choice(names)) for i in range(1, count + 1)), call(count), move(a, 0)]


def simulate(fn: MFunction) -> list[int]:
    """Run it; gives the arguments of all calls and the result, in order. Calls scramble what they clobber."""
    registers: dict[object, int] = {1: 77}
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
            elif inst.slot is not None:
                if inst.dst == FRAME_POINTER:
                    registers[inst.slot] = registers[inst.src]
                else:
                    registers[inst.dst] = registers[inst.slot]
            else:
                _arithmetic(inst, registers)
        block = following
    raise AssertionError("fell off the end")


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
