"""Instruction selection: IR ops to machine instructions over virtual registers.

A value is one virtual register; a guard is its operand's register, so that check and use stay in one. Addresses fold into
loads and stores, constants into immediates, comparisons into jumps. Block arguments become moves at the end of predecessors.
"""

from __future__ import annotations

from collections.abc import Callable

from purebpf.compiler.ir.analysis import dominated, enclosing_loops, immediate_dominators, reverse_postorder
from purebpf.compiler.ir.ops import BOOL, CALLS, I32, Block, Flag, Function, Op, Ptr, Target
from purebpf.compiler.ir.ranges import only_sign
from purebpf.compiler.options import Options
from purebpf.compiler.target.addresses import pointers_in_registers, shared_addresses
from purebpf.compiler.target.codes import ALU_OPS, ATOMIC_OPS, JUMPS, MIRRORED, SIZES, fits, in_frame, signed32
from purebpf.compiler.target.machine import (
    CALL_CLOBBERS,
    ENUMVAL_VALUE,
    FIELD_BYTE_OFFSET,
    FRAME_POINTER,
    Core,
    Inst,
    MBlock,
    MFunction,
    Reg,
    Slot,
)
from purebpf.compiler.target.stack import conflicts, lasting
from purebpf.isa.instruction import WIDE_LOAD, SourceLine
from purebpf.isa.opcodes import (
    ADD,
    ADDR_SPACE_CAST,
    ALU,
    ALU64,
    AND,
    ARSH,
    CALL_KFUNC,
    CALL_LOCAL,
    CALL_OPCODE,
    CMPXCHG,
    DIV,
    END,
    EXIT_OPCODE,
    FETCH,
    JMP,
    JMP32,
    JNE,
    JSET,
    LDX,
    LSH,
    MAY_GOTO_OPCODE,
    MOD,
    MODE_ATOMIC,
    MODE_MEM,
    MODE_MEMSX,
    MOV,
    NEG,
    OR,
    PSEUDO_BTF_ID,
    PSEUDO_FUNC,
    PSEUDO_MAP_FD,
    PSEUDO_MAP_VALUE,
    RSH,
    SIGNED,
    ST,
    STX,
    SUB,
    TO_BE,
    K,
    X,
)  # fmt: skip


def select(fn: Function, options: Options, helper_id: Callable[[str], int]) -> MFunction:
    """The function in machine form, over virtual registers."""
    return _Selector(fn, options, helper_id).run()


ARENA_SPACE = 1  # to the kernel's address space (the upper half, 0) from that of arenas


class _Selector:
    def __init__(self, fn: Function, options: Options, helper_id: Callable[[str], int]) -> None:
        self.fn = fn
        self.options = options
        self.helper_id = helper_id
        self.out = MFunction(fn.name)
        self.blocks: dict[Block, MBlock] = {}
        self.registers: dict[Op, Reg] = {}
        self.slots: dict[Op, Slot] = {}
        self.uses = fn.uses()
        self.idom = immediate_dominators(fn)
        self.loops = enclosing_loops(fn)
        self.as_values = pointers_in_registers(fn)
        branches = [op.args[0] for op in fn.ops() if op.kind == "br"]
        self.jump_masks = {condition.args[0] for condition in branches if self.masked(condition) is not None}
        self.into: list[Inst] = []
        self.loc: SourceLine | None = None
        self.kept = shared_addresses(fn, self.idom)
        self.held: dict[Reg, int] = {}  # parameters that hold a constant already: an earlier branch has put it there
        self.held_after: dict[Block, dict[Reg, int]] = {}

    def run(self) -> MFunction:
        order = reverse_postorder(self.fn)
        for block in order:
            self.blocks[block] = MBlock(block.name)
            self.out.blocks.append(self.blocks[block])
        reached = lasting(self.fn)
        for op in self.fn.entry.ops:
            if op.kind == "alloca":
                slot = Slot(op.imm[0], op.imm[1], op.imm[2], lasting=op in reached)
                self.slots[op] = slot
                self.out.slots.append(slot)
        for op, others in conflicts(self.fn).items():
            self.out.apart[self.slots[op]] = {self.slots[other] for other in others}
        self.into = self.blocks[self.fn.entry].insts
        for number, param in enumerate(self.fn.params, 1):
            if self.uses.get(param):
                self.move(self.reg_of(param), number)
        edges = self.fn.predecessors()
        for block in order:
            self.into = self.blocks[block].insts
            self.held = self._held_before(block, edges)
            for op in block.ops:
                self.loc = op.loc or self.loc
                for address in self.kept.pop(op, ()):
                    self.keep(address)
                self.op(op, self.blocks[block])
            self.held_after[block] = self.held
        self.out.spill_last = {
            self.registers[op.args[0]] for op in self.fn.ops() if op.kind == "guard" and op.args[0] in self.registers
        }
        return self.out

    def _held_before(self, block: Block, edges: dict[Block, list[tuple[Block, Target]]]) -> dict[Reg, int]:
        """Constants in parameters at a block's start. Over calls they would take registers that are few."""
        sources = [source for source, _ in edges[block]]
        if len(sources) != 1 or any(op.kind in CALLS for op in block.ops):
            return {}
        own = {self.registers.get(param) for param in block.params}
        return {register: value for register, value in self.held_after[sources[0]].items() if register not in own}

    # -- registers and operands

    def reg_of(self, op: Op) -> Reg:
        """The register a value lives in."""
        while op.kind == "guard":
            op = op.args[0]
        if op not in self.registers:
            self.registers[op] = self.out.virtual()
        return self.registers[op]

    def use(self, op: Op) -> Reg:
        """A register with the value in it: constants, map references and stack addresses are made where they are used."""
        while op.kind == "guard":
            op = op.args[0]
        if op.is_const or op.kind in ("map", "map_value", "func") or in_frame(op) is not None:
            register = self.out.virtual()
            self.make(register, op)
            return register
        return self.reg_of(op)

    def keep(self, address: Op) -> None:
        """Have an address that is wanted often in a register of its own. If none is left it is made again after all."""
        register = self.out.virtual()
        self.make(register, address)
        self.registers[address] = register

    def make(self, register: Reg, op: Op) -> None:
        """Put a value into a given register."""
        while op.kind == "guard":
            op = op.args[0]
        place = in_frame(op)
        if op in self.registers:
            self.move(register, self.registers[op])
        elif op.is_const:
            self.constant(register, op.value)
        elif op.kind == "map":
            self.emit(Inst(WIDE_LOAD, register, pseudo=PSEUDO_MAP_FD, symbol=op.imm[0], defs=(register,), remat=True))
        elif op.kind == "func":
            self.emit(Inst(WIDE_LOAD, register, pseudo=PSEUDO_FUNC, symbol=op.imm[0], defs=(register,), remat=True))
        elif op.kind == "map_value":
            self.emit(
                Inst(
                    WIDE_LOAD,
                    register,
                    pseudo=PSEUDO_MAP_VALUE,
                    imm=op.imm[1] << 32,
                    symbol=op.imm[0],
                    defs=(register,),
                    remat=True,
                )
            )
        elif place is not None:
            slot = self.slots[place[0]]
            self.emit(Inst(ALU64 | MOV | X, register, lea=True, slot=slot, imm=place[1], defs=(register,), remat=True))
        else:
            self.move(register, self.reg_of(op))

    def constant(self, register: Reg, value: int) -> None:
        if fits(value):
            opcode = ALU64 if value < 0 else ALU
            self.emit(Inst(opcode | MOV | K, register, imm=value, defs=(register,), remat=True))
        elif 0 <= value < 1 << 32:
            self.emit(Inst(ALU | MOV | K, register, imm=signed32(value), defs=(register,), remat=True))
        else:
            self.emit(Inst(WIDE_LOAD, register, imm=value & 0xFFFF_FFFF_FFFF_FFFF, defs=(register,), remat=True))

    def emit(self, inst: Inst) -> None:
        inst.loc = self.loc
        self.into.append(inst)

    def move(self, to: Reg, source: Reg) -> None:
        self.emit(Inst(ALU64 | MOV | X, to, source, defs=(to,), uses=(source,), move=True))

    def alu(self, opcode: int, register: Reg, imm: int = 0, offset: int = 0) -> None:
        """`register op= imm`."""
        self.emit(Inst(opcode | K, register, imm=imm, offset=offset, defs=(register,), uses=(register,)))

    # -- ops

    def op(self, op: Op, here: MBlock) -> None:
        if op.kind in ("const", "guard", "map", "map_value", "func") or in_frame(op) is not None:
            return
        if op.info.flags & Flag.COMPARE or op in self.jump_masks:
            return  # made where a branch wants it
        if op.info.flags & Flag.TERMINATOR:
            return self.terminator(op, here)
        if op.kind in ALU_OPS:
            return self.binary(op)
        getattr(self, f"op_{op.kind}")(op)

    def binary(self, op: Op) -> None:
        if isinstance(op.type, Ptr) and self.folds_away(op):
            return
        a, b = op.args
        target = self.reg_of(op)
        width = ALU if op.type == I32 else ALU64
        if op.kind == "sub" and a.is_const and a.value == 0:
            self.make(target, b)
            self.emit(Inst(width | NEG | K, target, defs=(target,), uses=(target,)))
            return
        if (
            op.info.flags & Flag.COMMUTATIVE
            and not isinstance(a.type, Ptr)
            and (a.is_const or (self.uses[a] > 1 and self.uses[b] == 1 and not b.is_const))
        ):
            a, b = b, a
        kind = ALU_OPS[op.kind]
        offset = SIGNED if op.kind in ("sdiv", "smod") else 0
        value = b.value if b.is_const else 0
        if b.is_const and kind == SUB and fits(-value) and op.type != I32:
            kind, value = ADD, -value
        if b.is_const and kind == MOD and value == 0:  # the verifier refuses the constant; the result is the dividend
            source = self.use(a)
            self.emit(Inst(width | MOV | X, target, source, defs=(target,), uses=(source,)))
            return
        if b.is_const and kind == DIV and value == 0:  # likewise, but then it is 0
            self.emit(Inst(ALU64 | MOV | K, target, defs=(target,)))
            return
        if b.is_const and kind in (LSH, RSH, ARSH):
            value %= 32 if op.type == I32 else 64
        if kind in (AND, OR) and only_sign(a):
            a, b = b, a  # with what may be a known number second, verifiers from 6.18 on go two ways, one for each sign
        elif b.is_const and (op.type == I32 or fits(value)):
            self.make(target, a)
            self.alu(width | kind, target, signed32(value) if op.type == I32 else value, offset)
            return
        right = self.use(b)
        self.make(target, a)
        self.emit(Inst(width | kind | X, target, right, offset=offset, defs=(target,), uses=(target, right)))

    def folds_away(self, op: Op) -> bool:
        """A pointer plus a constant that only loads and stores read goes into their offset fields."""
        return op.args[1].is_const and op not in self.as_values and fits(op.args[1].value)

    def address(self, pointer: Op, offset: int, target: Reg | None = None) -> tuple[Reg, int, Slot | None]:
        """(register, offset, slot) for a memory access. A load's `target` may hold the address before: what is left behind in
        a register makes the verifier of Linux 6.9 to 6.14 think that a loop's next trip is not like this one."""
        while True:
            if pointer.kind == "guard":
                pointer = pointer.args[0]
            elif (
                pointer.kind == "add"
                and pointer.args[1].is_const
                and (pointer not in self.as_values or pointer.args[0].kind == "alloca")
            ):
                offset += pointer.args[1].value
                pointer = pointer.args[0]
            else:
                break
        if pointer.kind == "alloca":
            return FRAME_POINTER, offset, self.slots[pointer]
        if pointer.kind == "map_value" and target is not None and offset < 1 << 15:
            self.make(target, pointer)
            return target, offset, None
        register = self.use(pointer)
        if not -(1 << 15) <= offset < 1 << 15:
            moved = self.out.virtual()
            self.move(moved, register)
            self.alu(ALU64 | ADD, moved, offset)
            return moved, 0, None
        return register, offset, None

    def op_load(self, op: Op) -> None:
        size, signed, offset = op.imm
        target = self.reg_of(op)
        register, offset, slot = self.address(op.args[0], offset, target)
        extend = bool(signed) and size < 8
        mode = MODE_MEMSX if extend and self.options.cpu >= 4 else MODE_MEM
        self.emit(Inst(LDX | mode | SIZES[size], target, register, offset, defs=(target,), uses=(register,), slot=slot))
        if extend and mode == MODE_MEM:
            self.extend(target, size * 8)

    def extend(self, register: Reg, bits: int) -> None:
        self.alu(ALU64 | LSH, register, 64 - bits)
        self.alu(ALU64 | ARSH, register, 64 - bits)

    def op_store(self, op: Op) -> None:
        size, offset = op.imm
        pointer, value = op.args
        plain = not (self.options.old_kernels and pointer.type == Ptr("ctx"))  # before Linux 6.4: only registers
        if plain and value.is_const and (size < 8 or fits(value.value)):
            register, offset, slot = self.address(pointer, offset)
            imm = signed32(value.value & ((1 << 8 * size) - 1)) if size < 8 else value.value
            if size < 4:
                imm = value.value & ((1 << 8 * size) - 1)
            self.emit(Inst(ST | MODE_MEM | SIZES[size], register, offset=offset, imm=imm, uses=(register,), slot=slot))
            return
        source = self.use(value)
        register, offset, slot = self.address(pointer, offset)
        self.emit(Inst(STX | MODE_MEM | SIZES[size], register, source, offset, uses=(register, source), slot=slot))

    def op_atomic(self, op: Op) -> None:
        name, size, offset, fetch = op.imm
        source = self.use(op.args[1])
        register, offset, slot = self.address(op.args[0], offset)
        if fetch:
            target = self.reg_of(op)
            self.move(target, source)
            source = target
        defs = (source,) if fetch else ()
        imm = ATOMIC_OPS[name] | (FETCH if fetch else 0)
        self.emit(
            Inst(STX | MODE_ATOMIC | SIZES[size], register, source, offset, imm, defs=defs, uses=(register, source), slot=slot)
        )

    def op_cmpxchg(self, op: Op) -> None:
        """The machine's compares with r0 and leaves the old value there."""
        size, offset = op.imm
        source = self.use(op.args[2])
        register, offset, slot = self.address(op.args[0], offset)
        self.make(0, op.args[1])
        uses = (register, source, 0)
        opcode = STX | MODE_ATOMIC | SIZES[size]
        self.emit(Inst(opcode, register, source, offset, CMPXCHG, defs=(0,), uses=uses, slot=slot))
        if self.uses.get(op):
            self.move(self.reg_of(op), 0)

    def op_low32(self, op: Op) -> None:
        target, source = self.reg_of(op), self.use(op.args[0])
        self.emit(Inst(ALU | MOV | X, target, source, defs=(target,), uses=(source,)))

    def op_sext(self, op: Op) -> None:
        target, bits = self.reg_of(op), op.imm[0]
        if self.options.cpu >= 4 and bits in (8, 16, 32):
            source = self.use(op.args[0])
            self.emit(Inst(ALU64 | MOV | X, target, source, offset=bits, defs=(target,), uses=(source,)))
            return
        self.make(target, op.args[0])
        self.extend(target, bits)

    def op_tobe(self, op: Op) -> None:
        target = self.reg_of(op)
        self.make(target, op.args[0])
        self.emit(Inst(ALU | END | TO_BE, target, imm=op.imm[0], defs=(target,), uses=(target,)))

    def op_call(self, op: Op) -> None:
        if op.imm[0] == "arena_address":
            return self.arena_address(op)
        self.call(op, Inst(CALL_OPCODE, imm=self.helper_id(op.imm[0]), symbol=None))

    def arena_address(self, op: Op) -> None:
        """An offset as a pointer into an arena; the program must load the arena's map somewhere to have one."""
        map, target = self.use(op.args[0]), self.reg_of(op)
        self.make(target, op.args[1])
        cast = Inst(ALU64 | MOV | X, target, target, ADDR_SPACE_CAST, ARENA_SPACE, defs=(target,), uses=(target, map))
        self.emit(cast)

    def op_core(self, op: Op) -> None:
        kind, root, access, value = op.imm
        target = self.reg_of(op)
        wide = kind == ENUMVAL_VALUE or not fits(value)  # another kernel's constant may need 64 bits
        opcode = WIDE_LOAD if wide else ALU64 | MOV | K
        imm = value & 0xFFFF_FFFF_FFFF_FFFF if wide else value
        self.emit(Inst(opcode, target, imm=imm, defs=(target,), core=Core(kind, root, access)))

    def op_core_add(self, op: Op) -> None:
        root, access, value = op.imm
        target = self.reg_of(op)
        self.make(target, op.args[0])
        core = Core(FIELD_BYTE_OFFSET, root, access)
        self.emit(Inst(ALU64 | ADD | K, target, imm=value, defs=(target,), uses=(target,), core=core))

    def op_core_load(self, op: Op) -> None:
        size, root, access, value = op.imm
        target, register = self.reg_of(op), self.use(op.args[0])
        core = Core(FIELD_BYTE_OFFSET, root, access)
        self.emit(Inst(LDX | MODE_MEM | SIZES[size], target, register, value, defs=(target,), uses=(register,), core=core))

    def op_core_store(self, op: Op) -> None:
        size, root, access, value = op.imm
        register, source = self.use(op.args[0]), self.use(op.args[1])
        core = Core(FIELD_BYTE_OFFSET, root, access)
        self.emit(Inst(STX | MODE_MEM | SIZES[size], register, source, value, uses=(register, source), core=core))

    def op_callsub(self, op: Op) -> None:
        self.call(op, Inst(CALL_OPCODE, pseudo=CALL_LOCAL, symbol=op.imm[0]))

    def op_kfunc(self, op: Op) -> None:
        self.call(op, Inst(CALL_OPCODE, pseudo=CALL_KFUNC, symbol=op.imm[0]))

    def op_kfunc_there(self, op: Op) -> None:
        target = self.reg_of(op)
        self.emit(Inst(WIDE_LOAD, target, pseudo=PSEUDO_BTF_ID, symbol=f"?{op.imm[0]}", defs=(target,)))

    def call(self, op: Op, inst: Inst) -> None:
        for number, arg in enumerate(op.args, 1):
            self.make(number, arg)
        inst.uses = tuple(range(1, len(op.args) + 1))
        inst.defs, inst.clobbers = (0,), CALL_CLOBBERS[1:]
        self.emit(inst)
        if self.uses.get(op):
            self.move(self.reg_of(op), 0)

    # -- terminators

    def terminator(self, op: Op, here: MBlock) -> None:
        if op.kind == "jump":
            self.edge(op.targets[0])
            here.next = self.blocks[op.targets[0].block]
        elif op.kind == "ret":
            if op.args:
                self.make(0, op.args[0])
            self.emit(Inst(EXIT_OPCODE, uses=(0,) if op.args else ()))
        elif op.kind == "unreachable":
            self.emit(Inst(EXIT_OPCODE))
        elif op.kind == "may_goto":
            into = self.side(op.targets[0], op)
            out = self.side(op.targets[1], op)
            self.emit(Inst(MAY_GOTO_OPCODE, target=out))
            here.next = into
        else:
            self.branch(op, here)

    def branch(self, op: Op, here: MBlock) -> None:
        yes, no = op.targets
        if yes.block is no.block and not yes.args:
            here.next = self.blocks[yes.block]
            return
        masked = self.masked(op.args[0])
        if masked is not None and op.args[0].kind == "eq":
            yes, no = no, yes  # there is no jump for "no bit set", so take the one for "any"
        hoisted = self.hoist(op, yes, no)
        jump = self.compare_jump(op.args[0])
        jump.target = self.blocks[yes.block] if yes is hoisted else self.side(yes, op)
        here.next = self.blocks[no.block] if no is hoisted else self.side(no, op)
        self.emit(jump)

    def hoist(self, op: Op, yes: Target, no: Target) -> Target | None:
        """Move one edge's arguments before the branch, which saves the block that would hold the moves. They land in
        registers that
        are dead on the other way, unless the edge is a way back. Out of a loop nothing is moved: it would run on every trip."""
        here = op.block
        assert here is not None
        ways = ((no, yes), (yes, no)) if self._there(no) and not self._there(yes) else ((yes, no), (no, yes))
        for target, other in ways:
            if not target.args or self.reads_parameter(op.args[0], target.block):
                continue
            if dominated(self.idom, here, target.block) or not self.loops[here] <= self.loops[target.block]:
                continue
            if not any(self.reads_parameter(arg, target.block) for arg in other.args):
                self.edge(target)
                for param, arg in zip(target.block.params, target.args, strict=True):
                    if self.uses.get(param):
                        self.held.pop(self.reg_of(param), None)
                        self.held |= {self.reg_of(param): arg.value} if arg.is_const else {}
                return target
        return None

    def _there(self, target: Target) -> bool:
        """Whether an edge has nothing left to move."""
        return all(
            arg.is_const and self.held.get(self.registers.get(param, -1)) == arg.value
            for param, arg in zip(target.block.params, target.args, strict=True)
        )

    def masked(self, condition: Op) -> tuple[Op, int] | None:
        """`(x & mask) == 0` or `!= 0`, where nothing else reads the masked value: (x, mask)."""
        if condition.kind not in ("eq", "ne") or not condition.args[1].is_const or condition.args[1].value != 0:
            return None
        mask = condition.args[0]
        if mask.kind != "and" or self.uses[mask] != 1 or not mask.args[1].is_const:
            return None
        value = mask.args[1].value
        if mask.args[0].is_const or not fits(value) or (mask.type == I32 and value < 0):
            return None
        return mask.args[0], value

    def reads_parameter(self, op: Op, block: Block) -> bool:
        """Whether computing this (a comparison that the jump makes) reads a parameter of `block`."""
        if op in block.params:
            return True
        return (op.kind == "guard" or op in self.jump_masks or bool(op.info.flags & Flag.COMPARE)) and any(
            self.reads_parameter(a, block) for a in op.args
        )

    def side(self, target: Target, op: Op) -> MBlock:
        """Where an edge of a branch goes: straight to the block, or through one that moves the arguments."""
        if not target.args or self._there(target):
            return self.blocks[target.block]
        block = MBlock(f"{target.block.name}_in")
        block.next = self.blocks[target.block]
        self.out.blocks.append(block)
        keep, self.into = self.into, block.insts
        self.edge(target)
        self.into = keep
        return block

    def edge(self, target: Target) -> None:
        """All moves of an edge happen at once: those that would overwrite a value still wanted go through fresh registers."""
        pairs = [
            (self.reg_of(param), arg)
            for param, arg in zip(target.block.params, target.args, strict=True)
            if self.uses.get(param)
        ]
        written = {register for register, _ in pairs}
        staged: list[tuple[Reg, Reg]] = []
        direct: list[tuple[Reg, Op]] = []
        for register, arg in pairs:
            while arg.kind == "guard":
                arg = arg.args[0]
            source = self.registers.get(arg)
            if source == register or (arg.is_const and self.held.get(register) == arg.value):
                continue
            if source in written and len(pairs) > 1:
                fresh = self.out.virtual()
                self.move(fresh, source)
                staged.append((register, fresh))
            else:
                direct.append((register, arg))
        for register, arg in direct:
            self.make(register, arg)
        for register, fresh in staged:
            self.move(register, fresh)

    def compare_jump(self, condition: Op) -> Inst:
        """The jump that is taken when the condition holds; its target is still open."""
        if not condition.info.flags & Flag.COMPARE:
            register = self.use(condition)
            return Inst(JMP | JNE | K, register, imm=0, uses=(register,), loc=self.loc)
        a, b = condition.args
        jumps = JUMPS
        if a.is_const and not b.is_const:
            a, b, jumps = b, a, MIRRORED
        code = jumps[condition.kind]
        narrow = all(
            v.type in (I32, BOOL) or (v.is_const and 0 <= v.value < 1 << 32 and not isinstance(v.type, Ptr)) for v in (a, b)
        )
        signed = condition.kind in ("slt", "sle")
        if b.is_const:
            value = b.value
            masked = self.masked(condition)
            if masked is not None:
                register = self.use(masked[0])
                return Inst(JMP | JSET | K, register, imm=masked[1], uses=(register,))
            register = self.use(a)
            if fits(value):
                return Inst(JMP | code | K, register, imm=value, uses=(register,))
            if narrow and not signed:
                return Inst(JMP32 | code | K, register, imm=signed32(value), uses=(register,))
            other = self.use(b)
            return Inst(JMP | code | X, register, other, uses=(register, other))
        register, other = self.use(a), self.use(b)
        return Inst(JMP | code | X, register, other, uses=(register, other))
