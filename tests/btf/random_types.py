"""Random pairs of types for the tests of CO-RE: a program's own, and a kernel's that has most of it at other places."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from purebpf.btf.core import resolve
from purebpf.btf.reader import Btf
from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.btf.types import Array, Enum, Enum64, Float, Int, Kind, Ptr, Struct, Type, Union
from purebpf.errors import Error
from purebpf.isa.asm import DW, R0, R1, Add, B, Exit, H, LoadImm64, LoadMem, Mov, StoreImm, StoreMem, W
from purebpf.isa.instruction import Instruction
from purebpf.isa.opcodes import Size
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import ProgramType
from tests.btf.kit import Kit

FIELDS = ("a", "b", "c", "d", "e", "f", "g")
INTEGERS = ("u8", "u16", "u32", "u64", "s32", "s64")
SIZES: dict[int, Size] = {1: B, 2: H, 4: W, 8: DW}
OFFSET = CoreKind.FIELD_BYTE_OFFSET
OF_TYPES = (CoreKind.TYPE_EXISTS, CoreKind.TYPE_SIZE, CoreKind.TYPE_MATCHES, CoreKind.TYPE_ID_TARGET, CoreKind.TYPE_ID_LOCAL)
OF_FIELDS = (OFFSET, OFFSET, OFFSET, CoreKind.FIELD_BYTE_SIZE, CoreKind.FIELD_EXISTS)
OF_INTEGERS = (*OF_FIELDS, CoreKind.FIELD_SIGNED, CoreKind.FIELD_LSHIFT_U64, CoreKind.FIELD_RSHIFT_U64)


@dataclass(frozen=True)
class Sketch:
    """A type before it has a number. `parts` are a struct's members (name, type, bits), or what an array, a pointer or a
    typedef is of; `count` is an array's length or an enum's size."""

    kind: str
    name: str = ""
    parts: tuple[tuple[str, Sketch, int], ...] = ()
    count: int = 0
    signed: bool = False
    values: tuple[tuple[str, int], ...] = ()


def draw(random: Random, depth: int = 0) -> Sketch:
    """Of a field."""
    match random.randrange(14):
        case 0:
            return Sketch("ptr", parts=(("", random.choice((Sketch("fwd", "in"), Sketch("u32"), Sketch("void"))), 0),))
        case 1:
            return draw_enum(random)
        case 2:
            return Sketch("array", parts=(("", draw(random, depth + 1), 0),), count=random.randrange(1, 4))
        case 3 if depth < 3:
            return draw_composite(random, random.choice(("in", "in___v", "other")), depth + 1)
        case 4:
            return Sketch("typedef", random.choice(("t", "t2")), (("", draw(random, depth + 1), 0),))
        case 5:
            return Sketch("float")
    return Sketch(random.choice(INTEGERS))


def draw_enum(random: Random) -> Sketch:
    size, signed = random.choice((4, 4, 8)), random.random() < 0.4
    names = random.sample(("A", "B", "A___x", "C"), random.randrange(1, 4))
    low, high = (-9 if signed else 0), (1 << 40 if size == 8 else 99)
    values = tuple((name, random.randint(low, high)) for name in names)
    return Sketch("enum", random.choice(("e", "e___v", "f", "")), count=size, signed=signed, values=values)


def draw_composite(random: Random, name: str, depth: int = 0, left: list[str] | None = None) -> Sketch:
    """A struct or union. The anonymous ones inside share its names."""
    names = random.sample(FIELDS, len(FIELDS)) if left is None else left
    parts: list[tuple[str, Sketch, int]] = []
    for _ in range(random.randrange(1, 5)):
        if not names:
            break
        if depth < 3 and random.random() < 0.15:
            parts.append(("", draw_composite(random, "", depth + 1, names), 0))
        elif random.random() < 0.2:
            parts.append((names.pop(), Sketch(random.choice(("u32", "u64", "s32"))), random.randrange(1, 32)))
        else:
            parts.append((names.pop(), draw(random, depth), 0))
    if random.random() < 0.1 and names:
        parts.append((names.pop(), Sketch("array", parts=(("", Sketch("u32"), 0),)), 0))
    return Sketch(random.choice(("struct",) * 4 + ("union",)), name, tuple(parts) or (("z", Sketch("u8"), 0),))


def draw_root(random: Random, name: str) -> Sketch:
    match random.randrange(8):
        case 0:
            return Sketch("typedef", name, (("", draw_composite(random, random.choice(("", "inside"))), 0),))
        case 1:
            return Sketch("typedef", name, (("", draw_enum(random), 0),))
        case 2:
            return replace(draw_enum(random), name=name)
    return draw_composite(random, name)


def changed(random: Random, sketch: Sketch) -> Sketch:
    """The same type in another kernel."""
    often, seldom, hardly = random.random() < 0.4, random.random() < 0.15, random.random() < 0.03
    parts = tuple((name, changed(random, part), bits) for name, part, bits in sketch.parts)
    if hardly:
        return draw(random, 2)
    match sketch.kind:
        case "struct" | "union":
            return replace(sketch, parts=rearranged(random, list(parts)), name=flavoured(random, sketch.name))
        case "array":
            return replace(sketch, parts=parts, count=sketch.count + seldom)
        case "typedef":
            return parts[0][1] if seldom else replace(sketch, parts=parts)
        case "enum":
            values = tuple((name, value + random.randrange(9) * often) for name, value in sketch.values)
            more = (("NEW", 5), *values) if often else values
            return replace(
                sketch, values=more[seldom:], count=8 if seldom else sketch.count, name=flavoured(random, sketch.name)
            )
        case kind if kind in INTEGERS and seldom:
            return Sketch(random.choice(INTEGERS))
    return replace(sketch, parts=parts)


def rearranged(random: Random, parts: list[tuple[str, Sketch, int]]) -> tuple[tuple[str, Sketch, int], ...]:
    """Members in another order, with others between, fewer, or inside of something anonymous."""
    if random.random() < 0.4:
        random.shuffle(parts)
    if random.random() < 0.5:
        parts.insert(random.randrange(len(parts) + 1), ("new", Sketch(random.choice(INTEGERS)), random.choice((0, 0, 5))))
    if random.random() < 0.1 and len(parts) > 1:
        parts.pop(random.randrange(len(parts)))
    if random.random() < 0.2 and parts:
        parts[0] = ("", Sketch(random.choice(("struct", "union")), parts=(("more", Sketch("u64"), 0), parts[0])), 0)
    wide = ("u32", "u64", "s32")
    return tuple(
        (name, part, max(bits - random.randrange(2), 1) if bits and part.kind in wide else 0) for name, part, bits in parts
    )


def flavoured(random: Random, name: str) -> str:
    return name if not name or random.random() < 0.8 else name.partition("___")[0] + random.choice(("", "___x", "___y"))


def build(kit: Kit, sketch: Sketch) -> int:
    """The type's number in a BTF."""
    parts = [(name, build(kit, part), bits) for name, part, bits in sketch.parts]
    match sketch.kind:
        case "struct" | "union":
            return (kit.struct if sketch.kind == "struct" else kit.union)(sketch.name, *parts)
        case "array":
            return kit.array(parts[0][1], sketch.count)
        case "typedef":
            return kit.typedef(sketch.name, parts[0][1])
        case "ptr":
            return kit.ptr(parts[0][1])
        case "enum":
            return kit.enum(sketch.name, sketch.count, sketch.signed, **dict(sketch.values))
        case "float":
            return kit.float("double", 8)
        case "fwd":
            return kit.fwd(sketch.name)
        case "void":
            return 0
    number = getattr(kit, sketch.kind)
    assert isinstance(number, int)
    return number


def ways(btf: Btf, number: int, access: str = "0", depth: int = 0) -> list[tuple[str, Type, bool]]:
    """All fields inside of a type: (access, type, whether it is a bit field or an element)."""
    found: list[tuple[str, Type, bool]] = []
    inside = btf.type(btf.resolve(number))
    if depth > 6:
        return found
    if isinstance(inside, Struct | Union):
        for index, member in enumerate(inside.members):
            here = f"{access}:{index}"
            if member.name:
                found.append((here, btf.type(btf.resolve(member.type)), member.bit_size > 0))
            found += ways(btf, member.type, here, depth + 1)
    elif isinstance(inside, Array):
        for index in range(inside.length or 2):
            found.append((f"{access}:{index}", btf.type(btf.resolve(inside.type)), True))
            found += ways(btf, inside.type, f"{access}:{index}", depth + 1)
    return found


def pair(seed: int) -> tuple[ProgramSpec, Btf]:
    """A program with relocations, and a kernel's types."""
    random = Random(seed)
    here, there = Kit(), Kit()
    sketch = draw_root(random, random.choice(("s", "s", "s___mine")))
    root = build(here, sketch)
    for _ in range(random.choice((0, 1, 1, 1, 1, 2))):
        other = changed(random, sketch) if random.random() < 0.9 else draw_root(random, "s")
        build(there, replace(other, name="s") if other.name.startswith("s___m") else other)
    local, kernel = here.btf(), there.btf()
    code: list[Instruction] = []
    asked: list[CoreRelocation] = []
    for _ in range(random.randrange(1, 5)):
        question, instruction = one(random, local, root, sum(each.slots for each in code))
        asked.append(question)
        code.append(instruction)
    code.append(Exit())
    types = tuple(here.builder.types())
    return ProgramSpec("judged", ProgramType.XDP, tuple(code), types=types, relocations=tuple(asked)), kernel


def one(random: Random, local: Btf, root: int, slot: int) -> tuple[CoreRelocation, Instruction]:
    """A question about the root type, and an instruction that holds the local answer."""
    behind = local.type(local.resolve(root))
    fields = ways(local, root)
    loads: list[Instruction] = []
    if isinstance(behind, Enum | Enum64) and random.random() < 0.8:
        kind = random.choice((CoreKind.ENUMVAL_EXISTS, CoreKind.ENUMVAL_VALUE))
        question = CoreRelocation(slot, kind, root, str(random.randrange(len(behind.values))))
    elif fields and random.random() < 0.85:
        access, type, part = random.choice(fields)
        kind = random.choice(OF_INTEGERS if isinstance(type, Int) else OF_FIELDS)
        question = CoreRelocation(slot, kind, root, access)
        if kind is OFFSET and isinstance(type, Int | Ptr | Enum | Enum64 | Float):
            size = SIZES[8 if isinstance(type, Ptr) else type.size]
            if part and type.kind is Kind.INT and random.random() < 0.1:
                size = B
            at = local_answer(local, question)
            loads = [LoadMem(R0, R1, at, size), StoreMem(R1, at, R0, size), StoreImm(R1, at, 1, size)]
    else:
        question = CoreRelocation(slot, random.choice(OF_TYPES), root, "0")
    value = local_answer(local, question)
    if random.random() < 0.03:
        value += 1  # a wrong one
    constants = [LoadImm64(R0, value)]
    if question.kind is not CoreKind.ENUMVAL_VALUE:
        constants += [Mov.imm(R0, value), Add.imm(R0, value)]
    return question, random.choice(loads + constants)


def local_answer(local: Btf, question: CoreRelocation) -> int:
    try:
        return resolve(local, question, []).local
    except Error:
        return 0
