"""Every valid instruction form, one row each: opcode, text, fields, and since when.

From RFC 9669 and the checks of the kernel's verifier on reserved fields (`kernel/bpf/verifier.c`); the text is that of
`print_bpf_insn` (`kernel/bpf/disasm.c`). The codec checks against this table, the disassembler fills in its text, the
text assembler matches it. Forms that only the kernel itself makes (PROBE_MEM, NOSPEC, ...) are not instructions here.

A field that the text names is free; any other field must hold the value given in the row, 0 unless told. The names:

    dst, src     register 0..10                      offset   16 bits, signed, as +N (bytes, or slots of a jump)
    imm          32 bits, signed                     imm32    the same, but the parser takes an unsigned value too
    hex          32 bits, as 0xN                     target   32 bits, signed, as +N (slots)
    wide         64 bits, as 0xN                     to_space, from_space   the halves of imm in an address space cast
    map, idx, subprog, ksym, kfunc, helper           what is referred to, see `references.py`
    map_offset   upper half of a wide load, as +N: the offset in a map's value
    zero         always 0: the r0 that is implied, and the first element of a map
    label        the symbol of a jump that is not resolved yet
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from purebpf.data import data
from purebpf.errors import AssemblerError
from purebpf.isa import opcodes as op
from purebpf.isa.instruction import WIDE_LOAD, Instruction

Version = tuple[int, int]
FIRST: Version = (3, 18)  # where bpf(2) and the 64-bit instruction set begin


@data
class Form:
    """One row. `level` is the `-mcpu=vN` of LLVM that includes it, `since` the first Linux that takes it (None: none does).

    `src`, `offset` and `imm` are the fixed value of the field, or None where it is free; `free_dst` says whether there is a
    destination, `high` whether a wide load may use its upper 32 bits. `symbolic` is the text when the instruction has a
    symbol ("" where it cannot have one), `also` are spellings that only the parser takes.
    """

    opcode: int
    text: str
    free_dst: bool
    src: int | None
    offset: int | None
    imm: int | None
    high: bool
    level: int
    since: Version | None
    symbolic: str
    also: tuple[str, ...]


IMM_FIELDS = ("{imm", "{hex", "{target", "{to_space", "{wide", "{map", "{idx", "{subprog", "{ksym", "{kfunc", "{helper")
HIGH_FIELDS = ("{wide", "{map_offset", "{ksym")
SYMBOL_FIELDS = ("{map}", "{idx", "{subprog", "{ksym", "{kfunc")


def row(
    opcode: int,
    text: str,
    *,
    src: int = 0,
    offset: int = 0,
    imm: int = 0,
    level: int = 1,
    since: Version | None = FIRST,
    symbolic: str = "",
    also: tuple[str, ...] = (),
) -> Form:
    return Form(
        opcode=opcode,
        text=text,
        free_dst="{dst" in text,
        src=None if "{src" in text else src,
        offset=None if "{offset" in text or "{kfunc" in text else offset,
        imm=None if any(field in text for field in IMM_FIELDS) else imm,
        high=any(field in text for field in HIGH_FIELDS),
        level=level,
        since=since,
        symbolic=symbolic or (text if any(field in text for field in SYMBOL_FIELDS) else ""),
        also=also,
    )


def jump(opcode: int, text: str, level: int = 1, since: Version = FIRST, distance: str = "offset") -> Form:
    """A jump: `text` up to the distance. LLVM writes the distance without `pc`; before it is known it is a label."""
    symbolic, llvm = f"{text} {{label}}", f"{text} {{{distance}}}"
    return row(opcode, f"{text} pc{{{distance}}}", level=level, since=since, symbolic=symbolic, also=(llvm,))


def arithmetic() -> Iterator[Form]:
    """ALU in 64 and 32 bits, both operands; signed division; sign extension; negation; byte swaps."""
    for cls, r, imm, level in ((op.ALU64, "r", "imm", 1), (op.ALU, "w", "imm32", 3)):
        for code, symbol in op.ALU_SYMBOLS.items():
            yield row(cls | code | op.K, f"{r}{{dst}} {symbol} {{{imm}}}", level=level)
            yield row(cls | code | op.X, f"{r}{{dst}} {symbol} {r}{{src}}", level=level)
        for code, symbol in ((op.DIV, "s/="), (op.MOD, "s%=")):
            yield row(cls | code | op.K, f"{r}{{dst}} {symbol} {{{imm}}}", offset=op.SIGNED, level=4, since=(6, 6))
            yield row(cls | code | op.X, f"{r}{{dst}} {symbol} {r}{{src}}", offset=op.SIGNED, level=4, since=(6, 6))
        for bits in (8, 16, 32) if cls == op.ALU64 else (8, 16):
            yield row(cls | op.MOV | op.X, f"{r}{{dst}} = (s{bits}){r}{{src}}", offset=bits, level=4, since=(6, 6))
        yield row(cls | op.NEG, f"{r}{{dst}} = -{r}{{dst}}", level=level)
    cast = "r{dst} = addr_space_cast(r{src}, {to_space}, {from_space})"
    yield row(op.ALU64 | op.MOV | op.X, cast, offset=op.ADDR_SPACE_CAST, level=4, since=(6, 9))
    for bits in (16, 32, 64):
        yield row(op.ALU | op.END | op.TO_LE, f"r{{dst}} = le{bits} r{{dst}}", imm=bits)
        yield row(op.ALU | op.END | op.TO_BE, f"r{{dst}} = be{bits} r{{dst}}", imm=bits)
        yield row(op.ALU64 | op.END, f"r{{dst}} = bswap{bits} r{{dst}}", imm=bits, level=4, since=(6, 6))


def memory() -> Iterator[Form]:
    """Loads and stores, sign-extending loads, and the loads from a packet that classic BPF left behind."""
    for size, name in op.SIZE_NAMES.items():
        imm = "imm" if size == op.DW else "imm32"
        yield row(op.LDX | op.MODE_MEM | size, f"r{{dst}} = *({name} *)(r{{src}} {{offset}})")
        yield row(op.ST | op.MODE_MEM | size, f"*({name} *)(r{{dst}} {{offset}}) = {{{imm}}}")
        yield row(op.STX | op.MODE_MEM | size, f"*({name} *)(r{{dst}} {{offset}}) = r{{src}}")
    for size, name in op.SIGNED_SIZE_NAMES.items():
        yield row(op.LDX | op.MODE_MEMSX | size, f"r{{dst}} = *({name} *)(r{{src}} {{offset}})", level=4, since=(6, 6))
    for size in (op.W, op.H, op.B):
        name = op.SIZE_NAMES[size]
        yield row(op.LD | op.MODE_ABS | size, f"r{{zero}} = *({name} *)skb[{{imm}}]")
        indirect = f"r{{zero}} = *({name} *)skb[r{{src}}"
        yield row(op.LD | op.MODE_IND | size, indirect + " + {imm}]", also=(indirect + "]",))


def atomics() -> Iterator[Form]:
    """Read-modify-write of 4 and 8 bytes; acquire and release of all four sizes."""
    for size, bits, name in ((op.W, "", "u32"), (op.DW, "64", "u64")):
        opcode = op.STX | op.MODE_ATOMIC | size
        address = f"({name} *)(r{{dst}} {{offset}})"
        for code, symbol in op.ATOMIC_SYMBOLS.items():
            level, since = (1, FIRST) if code == op.ADD else (3, (5, 12))
            yield row(opcode, f"lock *{address} {symbol} r{{src}}", imm=code, level=level, since=since)
            fetch = f"r{{src}} = atomic{bits}_fetch_{op.ATOMIC_NAMES[code]}({address}, r{{src}})"
            yield row(opcode, fetch, imm=code | op.FETCH, level=3, since=(5, 12))
        yield row(opcode, f"r{{src}} = atomic{bits}_xchg({address}, r{{src}})", imm=op.XCHG, level=3, since=(5, 12))
        compare = f"r{{zero}} = atomic{bits}_cmpxchg({address}, r{{zero}}, r{{src}})"
        yield row(opcode, compare, imm=op.CMPXCHG, level=3, since=(5, 12))
    for size, name in op.SIZE_NAMES.items():
        opcode = op.STX | op.MODE_ATOMIC | size
        acquire = f"r{{dst}} = load_acquire(({name} *)(r{{src}} {{offset}}))"
        release = f"store_release(({name} *)(r{{dst}} {{offset}}), r{{src}})"
        yield row(opcode, acquire, imm=op.LOAD_ACQUIRE, level=4, since=(6, 15))
        yield row(opcode, release, imm=op.STORE_RELEASE, level=4, since=(6, 15))


def wide_loads() -> Iterator[Form]:
    """The two-slot load: a 64-bit constant, or the address of something that is named."""
    yield row(WIDE_LOAD, "r{dst} = {wide} ll")
    yield row(WIDE_LOAD, "r{dst} = map[{map}]", src=op.PSEUDO_MAP_FD)
    yield row(WIDE_LOAD, "r{dst} = map[{map}][{zero}]{map_offset}", src=op.PSEUDO_MAP_VALUE, since=(5, 2))
    yield row(WIDE_LOAD, "r{dst} = ksym[{ksym}]", src=op.PSEUDO_BTF_ID, since=(5, 10))
    yield row(WIDE_LOAD, "r{dst} = subprog[{subprog}]", src=op.PSEUDO_FUNC, since=(5, 13))
    yield row(WIDE_LOAD, "r{dst} = map[{idx}]", src=op.PSEUDO_MAP_IDX, since=(5, 14))
    yield row(WIDE_LOAD, "r{dst} = map[{idx}][{zero}]{map_offset}", src=op.PSEUDO_MAP_IDX_VALUE, since=(5, 14))


def jumps() -> Iterator[Form]:
    """Jumps, calls and exit."""
    added_by_v2 = {op.JLT, op.JLE, op.JSLT, op.JSLE}
    for cls, r in ((op.JMP, "r"), (op.JMP32, "w")):
        for code, symbol in op.JUMP_SYMBOLS.items():
            level, since = (3, (5, 1)) if cls == op.JMP32 else (2, (4, 14)) if code in added_by_v2 else (1, FIRST)
            for source, operand in ((op.K, "{hex}"), (op.X, f"{r}{{src}}")):
                yield jump(cls | code | source, f"if {r}{{dst}} {symbol} {operand} goto", level, since)
    yield jump(op.GOTO_OPCODE, "goto")
    yield jump(op.GOTOL_OPCODE, "gotol", 4, (6, 6), "target")
    yield row(op.GOTOX_OPCODE, "gotox r{dst}", level=4, since=(6, 19))
    yield jump(op.MAY_GOTO_OPCODE, "may_goto", 4, (6, 9))
    yield row(op.CALL_OPCODE, "call {helper}", src=op.CALL_HELPER)
    yield row(op.CALL_OPCODE, "call pc{target}", src=op.CALL_LOCAL, since=(4, 16), symbolic="call subprog[{subprog}]")
    yield row(op.CALL_OPCODE, "call kfunc[{kfunc}]", src=op.CALL_KFUNC, since=(5, 13))
    yield row(op.CALLX_OPCODE, "callx r{dst}", since=None)
    yield row(op.EXIT_OPCODE, "exit")


def rows() -> Iterator[Form]:
    """All forms."""
    yield from arithmetic()
    yield from memory()
    yield from atomics()
    yield from wide_loads()
    yield from jumps()


Variants = tuple[str, dict[int, Form]]
"""The field (src, offset or imm) whose value tells the forms of an opcode apart, "" if there is only one; and the forms."""


@cache
def variants() -> dict[int, Variants]:
    """All forms by opcode."""
    by_opcode: dict[int, list[Form]] = {}
    for form in rows():
        by_opcode.setdefault(form.opcode, []).append(form)
    return {opcode: group(forms) for opcode, forms in by_opcode.items()}


def group(forms: list[Form]) -> Variants:
    if len(forms) == 1:
        return "", {0: forms[0]}
    for selector in ("src", "offset", "imm"):
        values = {getattr(form, selector) for form in forms}
        if None not in values and len(values) == len(forms):
            return selector, {getattr(form, selector): form for form in forms}
    raise AssertionError(f"no field tells the forms of opcode {forms[0].opcode:#04x} apart")


def form_of(instruction: Instruction) -> Form:
    """The row that `instruction` is of. Raises AssemblerError, without a place, when it is no valid instruction."""
    candidates = variants().get(instruction.opcode)
    if candidates is None:
        raise AssemblerError(f"{instruction.opcode:#04x} is not the opcode of any eBPF instruction")
    selector, forms = candidates
    selected = getattr(instruction, selector) if selector else 0
    form = forms.get(selected)
    if form is None:
        known = ", ".join(f"{value:#x}" for value in sorted(forms))
        raise AssemblerError(
            f"opcode {instruction.opcode:#04x} has no variant with {selector} {selected:#x}; there are {known}"
        )
    check_fields(instruction, form)
    return form


def check_fields(instruction: Instruction, form: Form) -> None:
    """Raise AssemblerError for a field that is out of range, or set where it is reserved."""
    dst, src, offset, imm = instruction.dst, instruction.src, instruction.offset, instruction.imm
    wide = form.opcode == WIDE_LOAD
    least, most = (0, 0xFFFF_FFFF_FFFF_FFFF if form.high else 0xFFFF_FFFF) if wide else (-0x8000_0000, 0x7FFF_FFFF)
    fixed = (dst if form.free_dst else 0, form.src, form.offset, form.imm)
    for name, value, must in zip(("dst", "src", "offset", "imm"), (dst, src, offset, imm), fixed, strict=True):
        if must is not None and value != must:
            raise AssemblerError(f"{summary(form)} does not use {name}: it must be {must}, but is {value}")
    if not (0 <= dst <= op.LAST_REGISTER and (form.src is not None or 0 <= src <= op.LAST_REGISTER)):
        raise AssemblerError(f"{summary(form)} names register {max(dst, src)}; registers are r0 to r10")
    if not -0x8000 <= offset <= 0x7FFF:
        raise AssemblerError(f"the offset {offset} of {summary(form)} does not fit in 16 bits (-32768 to 32767)")
    if not least <= imm <= most:
        raise AssemblerError(f"the constant {imm} of {summary(form)} is not between {least} and {most}")
    if instruction.symbol is not None:
        check_symbol(instruction, instruction.symbol, form)


def check_symbol(instruction: Instruction, symbol: str, form: Form) -> None:
    """Raise AssemblerError for a symbol on an instruction that has none, and for a jump with a bad label."""
    if not form.symbolic:
        raise AssemblerError(f"{summary(form)} refers to nothing by name, but has the symbol {symbol!r}")
    if "{label}" in form.symbolic:
        check_label(symbol)
        distance = instruction.imm if form.opcode == op.GOTOL_OPCODE else instruction.offset
        if distance:
            raise AssemblerError(
                f"{summary(form)} has both a label ({symbol!r}) and a distance ({distance:+d}); give one of them"
            )


def check_label(name: str) -> None:
    """Raise AssemblerError for a name that the text form could not tell from something else."""
    register = name[:1] in ("r", "w") and name[1:].isdigit()
    if not (name.isascii() and name.replace(".", "_").replace("$", "_").isidentifier()) or register or name == "pc":
        raise AssemblerError(
            f"{name!r} is no label: letters, digits, '_', '.' and '$', not a digit first, and neither a register nor 'pc'"
        )


def summary(form: Form) -> str:
    """The form for an error message: its opcode and its text with the fields' names."""
    return f"{form.opcode:#04x} ({form.text.replace('{', '').replace('}', '')})"


def cpu_level(instruction: Instruction) -> int:
    """The instruction set version (1 to 4: LLVM's `-mcpu=v1` to `v4`) that the instruction needs.

    Stores of constants count as v1: every kernel takes them, LLVM only makes them from v4 on. 32-bit arithmetic counts as
    v3, where compilers begin to use it, though kernels took it before.
    """
    return form_of(instruction).level


def minimum_kernel(instruction: Instruction) -> Version | None:
    """The first Linux version that takes the instruction, such as (5, 12); None when no released kernel does (callx)."""
    return form_of(instruction).since
