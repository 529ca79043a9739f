"""One eBPF instruction as plain data.

An instruction is 8 bytes (RFC 9669, section 3); a wide load (`LD | IMM | DW`) takes two such slots but is one `Instruction`
whose `imm` holds the whole 64-bit constant. What an instruction refers to by name (a map, a function, a kfunc) stays a
name in `symbol` until an engine loads the program.
"""

from __future__ import annotations

from purebpf.data import data, uncompared

WIDE_LOAD = 0x18


@data
class SourceLine:
    """Where an instruction comes from, for verifier logs, error messages and line info. `end` is the column after the
    expression's last character, 0 where that is not known."""

    file: str
    line: int
    column: int
    text: str
    end: int = 0


@data
class Instruction:
    """`imm` is signed 32-bit, for wide loads any 64-bit value kept unsigned (0 <= imm < 2**64).

    `symbol` names the map of a wide load with a map pseudo source, the function of a local call or function address,
    or the kfunc of a kernel call. Jump offsets count slots from the next instruction, as in the encoding.
    """

    opcode: int
    dst: int = 0
    src: int = 0
    offset: int = 0
    imm: int = 0
    symbol: str | None = None
    source: SourceLine | None = uncompared(None)

    @property
    def slots(self) -> int:
        """How many 8-byte slots it takes in a program: 2 for a wide load, else 1."""
        return 2 if self.opcode == WIDE_LOAD else 1


BTF_ID = 3  # BPF_PSEUDO_BTF_ID


def asks(instruction: Instruction) -> str:
    """The kernel function of which a wide load asks whether it is there (its symbol is the name behind a `?`); "" if none."""
    if instruction.opcode != WIDE_LOAD or instruction.src != BTF_ID or not str(instruction.symbol).startswith("?"):
        return ""
    return str(instruction.symbol)[1:]
