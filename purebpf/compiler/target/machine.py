"""Machine code before and after register allocation: eBPF instructions over virtual registers, in a control-flow graph.

Registers 0 to 10 are the machine's; numbers from `FIRST_VIRTUAL` up are virtual. Selection makes these, the allocator
replaces the virtual ones, emission turns them into `Instruction`s. A stack slot has no offset until the frame is laid out.
"""

from __future__ import annotations

from purebpf.data import data, made
from purebpf.isa.instruction import SourceLine

FIRST_VIRTUAL = 16
FRAME_POINTER = 10
CALL_CLOBBERS = (0, 1, 2, 3, 4, 5)
ALLOCATABLE = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)

FIELD_BYTE_OFFSET, ENUMVAL_VALUE = 0, 11  # of btf.relocation.CoreKind

Reg = int


@data(frozen=False, eq=False)
class Slot:
    """Memory in the stack frame. `offset` (from r10, negative) is set when the frame is laid out. One that is `lasting` is
    reached by other ways than the instructions that name it."""

    size: int
    align: int
    name: str = ""
    offset: int | None = None
    lasting: bool = False


@data
class Core:
    """A CO-RE relocation of an instruction, by the numbers and accesses of the BTF that it was compiled with."""

    kind: int
    root: int
    access: str


@data(frozen=False, eq=False)
class Inst:
    """One instruction. `dst` and `src` are the register fields of the encoding (None where unused: encoded as 0);
    `defs` and `uses` say which registers it writes and reads, the implicit ones of calls included (r1..r5 in, r0 out),
    `clobbers` which
    it destroys besides. A register that is read and written (`r1 += r2`, cmpxchg's r0) stands in both.

    `move` marks a plain 64-bit register copy (dst = src) that may vanish; `remat` an instruction without register operands
    that can be repeated instead of spilling its result. `slot` adds a frame slot's offset: to the encoding's offset for
    loads and stores off r10, or, with `lea`, makes the pseudo instruction dst = r10 + slot (+ imm), two slots long.
    `target` is where a jump goes. `pseudo` is the encoding's source field where that is no register (calls, wide loads).
    `core` is what it asks of the kernel that it will run on.
    """

    opcode: int
    dst: Reg | None = None
    src: Reg | None = None
    offset: int = 0
    imm: int = 0
    symbol: str | None = None
    loc: SourceLine | None = None
    defs: tuple[Reg, ...] = ()
    uses: tuple[Reg, ...] = ()
    clobbers: tuple[Reg, ...] = ()
    move: bool = False
    remat: bool = False
    lea: bool = False
    slot: Slot | None = None
    pseudo: int = 0
    core: Core | None = None
    target: MBlock | None = None


@data(frozen=False, eq=False)
class MBlock:
    """A run of instructions. It ends in an exit, or goes on to `next`; a conditional jump, last in `insts`, has its
    `target`."""

    name: str
    insts: list[Inst] = made(list)
    next: MBlock | None = None

    @property
    def successors(self) -> list[MBlock]:
        jumps = [inst.target for inst in self.insts[-1:] if inst.target is not None]
        return jumps + ([self.next] if self.next is not None else [])


@data(frozen=False, eq=False)
class MFunction:
    """A function in machine form; `blocks[0]` is the entry. `slots` are all stack slots, spill slots included."""

    name: str
    blocks: list[MBlock] = made(list)
    slots: list[Slot] = made(list)
    apart: dict[Slot, set[Slot]] = made(dict)  # slots that may not overlap; one that is not in here overlaps none
    next_virtual: int = FIRST_VIRTUAL
    spill_last: set[Reg] = made(set)  # values the verifier tracks: spilled only when nothing else is left

    def virtual(self) -> Reg:
        self.next_virtual += 1
        return self.next_virtual - 1
