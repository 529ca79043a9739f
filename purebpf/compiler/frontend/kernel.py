"""The kernel's own objects: `task.real_parent.comm`, by the types of its BTF.

A `KernelRef` is a place: an address, the type there, and the way from it (embedded structs and arrays are no hop). Reading a
field is one CO-RE relocation, and so is a hop over a pointer. Where the verifier knows the pointer the field is loaded, with a
test for NULL before; anywhere else a helper reads it. Either way what cannot be read is 0.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NoReturn

from purebpf.btf.names import essential_name, similar
from purebpf.btf.relocation import CoreKind
from purebpf.btf.types import (
    Array,
    Const,
    Enum,
    Enum64,
    Fwd,
    Int,
    Member,
    Ptr,
    Restrict,
    Struct,
    Typedef,
    TypeTag,
    Union,
    Volatile,
)
from purebpf.compiler.frontend import advice, helpers, kfuncs, memory, trust
from purebpf.compiler.frontend.bounds import provable
from purebpf.compiler.frontend.values import U64, Fill, IntValue, KernelRef, Ref, Value, describe, known
from purebpf.compiler.ir.ops import BOOL, I32, I64, VOID, Op
from purebpf.data import replace
from purebpf.errors import Error
from purebpf.lang.declaring import Misdeclared
from purebpf.lang.kernel_structs import Declared, KernelStruct, KernelUnion
from purebpf.lang.types import BoolType, CharsType, IntType
from purebpf.tables.helpers import helper

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf
    from purebpf.compiler.frontend.kernel_declared import DeclaredTypes
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.lang.kernel_types import KernelName

NO_BTF = "name a kernel's BTF with `--btf FILE` (Options(btf=...)), or declare the fields you need: class T(bpf.KernelStruct)"
NETWORK_ORDER = frozenset({"__be16", "__be32", "__be64"})
NO_KERNEL_MEMORY = frozenset({"user", "percpu"})  # type tags of pointers that lead elsewhere
NEVER_NULL = frozenset({"seq_file"})  # an iterator's output
LONGEST_TEXT = 4096
FARTHEST = 1 << 15  # a load's offset has 16 bits
MODIFIERS = (Typedef.kind, Volatile.kind, Const.kind, Restrict.kind, TypeTag.kind)


def btf_of(cx: Lowering, node: ast.AST) -> Btf:
    """The types that the program uses: the kernel's, and those that it declares itself. An error where there are none."""
    return cx.unit.declared.btf if cx.unit.declared is not None else opened(cx, node)


def opened(cx: Lowering, node: ast.AST) -> Btf:
    """The BTF of the kernel that the program is compiled for; an error where there is none."""
    from purebpf.btf.running import kernel_btf

    if cx.unit.btf is not None:
        return cx.unit.btf
    try:
        return kernel_btf()
    except Error as error:
        cx.fail(node, str(error), hint=NO_BTF)


def number_of(cx: Lowering, node: ast.AST, type: KernelName) -> int:
    """The number of a struct or union that is imported or declared."""
    if not isinstance(type, Declared):
        return named(cx, node, type.__bpf_kernel_type__)
    if type in (KernelStruct, KernelUnion):
        cx.fail(node, f"bpf.{type.__name__} is no type of the kernel itself", hint="class task_struct(bpf.KernelStruct): ...")
    try:
        return declared(cx, node).number(type)
    except Misdeclared as error:
        cx.fail(node, error.message, hint=error.hint)


def declared(cx: Lowering, node: ast.AST) -> DeclaredTypes:
    """The types that the program declares itself."""
    from purebpf.compiler.frontend.kernel_declared import DeclaredTypes

    if cx.unit.declared is None:
        cx.unit.declared = DeclaredTypes(lambda: opened(cx, node))
    return cx.unit.declared


def _is_declared(cx: Lowering, type: int) -> bool:
    """Whether a type's number is that of a declared one."""
    return cx.unit.declared is not None and type >= cx.unit.declared.builder.first


def named(cx: Lowering, node: ast.AST, name: str) -> int:
    """The number of a struct or union, or of a typedef of one; an error with similar names for what the kernel has not."""
    btf = opened(cx, node)
    for number in (*btf.types_named(name, (Struct.kind, Union.kind)), *btf.types_named(name, Typedef.kind)):
        if isinstance(btf.type(btf.resolve(number)), Struct | Union):
            return number
    what = "is no struct or union in" if btf.types_named(name) else "is not in"
    cx.fail(node, f"`{name}` {what} the BTF of this kernel", hint=_similar(btf, name))


def _similar(btf: Btf, name: str) -> str:
    near = similar(btf, name, (Struct.kind,))
    return f"similar: {near}" if near else ""


def at(cx: Lowering, node: ast.Call, type: KernelName) -> Value:
    """`task_struct(address)`: what lies at an address, or another view of an object."""
    name = type.__bpf_kernel_type__
    if len(node.args) != 1 or node.keywords:
        cx.fail(node, f"`{name}` takes one address", hint=f"{name}(ctx.args[0])")
    value = cx.expression(node.args[0])
    if isinstance(value, KernelRef):
        return viewed(cx, node, value, type)
    return pointing(cx, node, cx.integer(node.args[0], value, "an address").op, number_of(cx, node, type), False)


def viewed(cx: Lowering, node: ast.AST, ref: KernelRef, type: KernelName) -> KernelRef:
    """An object as one of another type. If that is the same to the kernel, the verifier still knows the pointer."""
    number = number_of(cx, node, type)
    same = len(ref.path) == 1 and essential_name(type.__bpf_kernel_type__) == essential_name(btf_of(cx, node).name(ref.root))
    return pointing(
        cx, node, address(cx, ref), number, same and ref.direct, ref.nullable or not same, ref.trust if same else ""
    )


def is_struct(cx: Lowering, node: ast.AST, type: int) -> bool:
    btf = btf_of(cx, node)
    return isinstance(btf.type(btf.resolve(type)), Struct | Union)


def pointing(cx: Lowering, node: ast.AST, op: Op, type: int, direct: bool, nullable: bool = True, trust: str = "") -> KernelRef:
    """The object of a type that a pointer leads to; `direct` if the verifier knows of what type it is."""
    btf = btf_of(cx, node)
    root = type
    while btf.kind(root) not in (Struct.kind, Union.kind, Typedef.kind):
        root = btf.third_word(root)
    place = btf.resolve(root)
    if btf.name(place):
        root = place
    return KernelRef(op, root, (0,), place, btf.name(root), direct, nullable, trust)


def annotated(cx: Lowering, node: ast.AST, ref: KernelRef, type: KernelName) -> KernelRef:
    """An object that is annotated with a type: as it is, as another declaration of its type has it, or an error."""
    name, own = type.__bpf_kernel_type__, btf_of(cx, node).name(ref.type)
    if isinstance(type, Declared):
        if cx.unit.declared is not None and cx.unit.declared.numbers.get(type) == ref.type:
            return ref
    elif name in (own, btf_of(cx, node).name(ref.root)):
        return ref
    if essential_name(name) != essential_name(own):
        cx.fail(node, f"this is {_shown(ref)}, not a `{name}`", hint=f"`{name}(...)` is another view of what lies there")
    return viewed(cx, node, ref, type)


def current_task(cx: Lowering, node: ast.AST) -> Value:
    """`bpf.current.task`: by a pointer that the verifier knows where there is one (Linux 5.11)."""
    type = _task(cx, node)
    known = helper("get_current_task_btf")
    direct = cx.unit.options.kernel_pointers and known is not None and cx.unit.kind.type in known.programs
    name = "get_current_task_btf" if direct else "get_current_task"
    helpers.allowed(cx, node, name)
    return pointing(cx, node, cx.call(name, []), type, direct, nullable=False, trust="trusted" if direct else "")


def _task(cx: Lowering, node: ast.AST) -> int:
    """The type of tasks. Where there is no BTF nothing is known of it: the program has a declaration of its own for that."""
    from purebpf.btf.running import kernel_btf

    try:
        kernel_btf()
    except Error:
        return declared(cx, node).opaque("task_struct")
    return named(cx, node, "task_struct")


def attribute(cx: Lowering, node: ast.Attribute, ref: KernelRef) -> Value:
    """`ref.name`: an integer, a text or another place."""
    btf = btf_of(cx, node)
    found = btf.type(ref.type)
    if not isinstance(found, Struct | Union):
        cx.fail(node, f"{_shown(ref)} has no attribute `{node.attr}`", hint="index it first: `field[i]`")
    way = member(btf, ref.type, node.attr)
    if way is None:
        no_field(cx, node, ref.name, ref.type, node.attr)
    steps, last, shared = way
    inside = replace(ref, path=ref.path + steps, type=btf.resolve(last.type), name=f"{ref.name}.{node.attr}")
    return read(cx, node, inside, last.type, last.bit_size, shared)


def subscript(cx: Lowering, node: ast.Subscript, ref: KernelRef) -> Value:
    """`ref[i]` of an array in the kernel."""
    btf = btf_of(cx, node)
    found = btf.type(ref.type)
    if not isinstance(found, Array):
        cx.fail(node, f"{_shown(ref)} cannot be indexed")
    index = cx.expression(node.slice)
    fixed = known(index)
    inside = replace(ref, type=btf.resolve(found.type), name=f"{ref.name}[]")
    if fixed is not None:
        if not 0 <= fixed < max(found.length, 1) and found.length:
            cx.fail(node.slice, f"{fixed} is outside of {_shown(ref)}", f"it has {found.length} elements")
        return read(cx, node, replace(inside, path=(*ref.path, fixed)), found.type, 0, False)
    number, first = _proven(cx, node.slice, ref, index, found), (*ref.path, 0)
    asked = (int(CoreKind.FIELD_BYTE_SIZE), ref.root, access(first), btf.size_of(found.type))
    step = cx.builder.emit("mul", I64, [number, cx.builder.emit("core", I64, [], asked)])
    moved = cx.builder.emit("add", I64, [ref.op, step])  # so that the first element, from there, is the one
    return read(cx, node, replace(inside, op=moved, path=first, direct=False, trust=""), found.type, 0, False)


def _proven(cx: Lowering, node: ast.expr, ref: KernelRef, index: Value, array: Array) -> Op:
    """A computed index that is known to be in range, also by the verifier. Where C's array has no length, or 1 as such arrays
    were once written, whatever 32 bits count is."""
    number = cx.integer(node, index, "an index")
    count = array.length if array.length > 1 else 1 << 32
    if number.low < 0 or number.high >= count:
        hint = advice.to_test(node, number.low, count)
        if count != array.length:
            hint = f"cut it to 32 bits: `u32({ast.unparse(node)})`" if number.low >= 0 else "test it first: `if i >= 0:`"
        cx.fail(node, f"the index may be outside of {_shown(ref)}", f"{number.low}..{number.high}", hint)
    return provable(cx, number.op, count - 1)


def member(btf: Btf, struct: int, name: str) -> tuple[tuple[int, ...], Member, bool] | None:
    """The way to a field, through structs and unions without a name: (indexes, the member, whether it shares its bytes)."""
    found = btf.type(struct)
    assert isinstance(found, Struct | Union)
    shared = isinstance(found, Union) and len(found.members) > 1
    for index, one in enumerate(found.members):
        if one.name == name:
            return (index,), one, shared
        if not one.name:
            inner = btf.resolve(one.type)
            deeper = member(btf, inner, name) if isinstance(btf.type(inner), Struct | Union) else None
            if deeper is not None:
                return (index, *deeper[0]), deeper[1], shared or deeper[2]
    return None


def field_names(btf: Btf, struct: int) -> list[str]:
    """The names of all fields, those of unnamed members among them."""
    found = btf.type(btf.resolve(struct))
    names: list[str] = []
    for one in found.members if isinstance(found, Struct | Union) else ():
        names += [one.name] if one.name else field_names(btf, one.type)
    return names


def no_field(cx: Lowering, node: ast.AST, shown: str, struct: int, name: str) -> NoReturn:
    types = cx.unit.declared
    if types is not None and struct in types.nameless:
        opened(cx, node)  # fails, and says why
    if types is not None and struct in types.numbers.values():
        hint = f"add it to the declaration: `{name}: u32`"
        cx.fail(node, f"the declaration of `{shown}` has no field `{name}`", hint=hint)
    from purebpf.compiler.frontend import kernel_advice

    cx.fail(node, f"the kernel's `{shown}` has no field `{name}`", hint=kernel_advice.instead(cx, node, shown, struct, name))


def _shown(ref: KernelRef) -> str:
    return f"the kernel's `{ref.name}`"


def offset(btf: Btf, root: int, path: tuple[int, ...]) -> int:
    """The byte that an access begins at, on the kernel that the program is compiled for."""
    here, bits = btf.resolve(root), 0
    for index in path[1:]:
        found = btf.type(here)
        if isinstance(found, Array):
            bits += 8 * index * btf.size_of(found.type)
            here = btf.resolve(found.type)
        else:
            assert isinstance(found, Struct | Union)
            bits += found.members[index].bit_offset
            here = btf.resolve(found.members[index].type)
    return bits // 8


def access(path: tuple[int, ...]) -> str:
    return ":".join(map(str, path))


def address(cx: Lowering, ref: KernelRef) -> Op:
    """The address of a place."""
    if len(ref.path) == 1:
        return ref.op
    at = offset(btf_of(cx, cx.here), ref.root, ref.path)
    return cx.builder.emit("core_add", I64, [ref.op], (ref.root, access(ref.path), at))


def identity(cx: Lowering, node: ast.Call) -> Value:
    """`id(ref)`: the address as a number."""
    value = cx.expression(node.args[0]) if len(node.args) == 1 and not node.keywords else None
    if not isinstance(value, KernelRef):
        there = isinstance(value, IntValue)
        hint = f"`{ast.unparse(node.args[0])}` is a number already" if there else "id(bpf.current.task)"
        cx.fail(node, "`id` gives the address of an object in the kernel", hint=hint)
    if not value.direct:
        return identity_of(cx, value)
    helpers.allowed(cx, node, "probe_read_kernel")  # it gives back a number, which the verifier does not take for a pointer
    held, number = (memory.temporary(cx, IntType(64)) for _ in range(2))
    cx.builder.emit("store", VOID, [held.op, address(cx, value)], (8, 0))
    cx.call("probe_read_kernel", [number.op, cx.const(8), held.op])
    return memory.load(cx, node, number)


def identity_of(cx: Lowering, ref: KernelRef) -> IntValue:
    """The address as a number."""
    return IntValue(address(cx, ref), 0, U64)


def lent(cx: Lowering, node: ast.AST, what: str, wanted: str, value: Value) -> Op:
    """An object of the kernel, or one inside of it, handed to a helper: a pointer that the verifier knows, and not NULL."""
    if not isinstance(value, KernelRef):
        cx.fail(node, f"{what} is the kernel's `{wanted}`, not {describe(value)}")
    name = btf_of(cx, node).name(value.type)
    if name != wanted:
        cx.fail(node, f"{what} is the kernel's `{wanted}`, not a `{value.name}`")
    if not value.direct:
        hint = "`bpf.current.task`, and what traced functions are called with, are such objects"
        cx.fail(node, f"{what} must be an object that the verifier knows", "this is an address", hint)
    if value.nullable and wanted not in NEVER_NULL:
        name = ast.unparse(node) if isinstance(node, ast.expr) else "it"
        hint = (
            advice.none_test(node)
            if len(value.path) == 1
            else "test the object that it lies in, by a name: `if x is not None:`"
        )
        cx.fail(node, f"`{name}` may be None here", f"{what} may not", hint)
    return address(cx, value)


# -- what is at a place


def read(cx: Lowering, node: ast.AST, ref: KernelRef, declared: int, bits: int, shared: bool) -> Value:
    """The value of a field: `declared` is its type as written, `bits` its width if it is a bit field; `shared` says that it is
    one of several in a union, where the verifier does not know which."""
    btf = btf_of(cx, node)
    found = btf.type(ref.type)
    match found:
        case Struct() | Union():
            return ref
        case Array():
            return _array(cx, ref, found)
        case Ptr():
            return _pointer(cx, node, ref, found, shared)
        case Int() if bits or (found.bits != 8 * found.size and not found.bool):
            return _bit_field(cx, node, ref, bits or found.bits, found.signed)
        case Enum() | Enum64() if bits:
            return _bit_field(cx, node, ref, bits, found.signed)
        case Int(bool=True):
            return _scalar(cx, node, ref, BoolType())
        case Int(size=1 | 2 | 4 | 8) | Enum() | Enum64():
            layout = IntType(8 * found.size, found.signed, _network(btf, declared))
            if isinstance(found, Enum) and _is_declared(cx, ref.root):  # of a declared one nobody knows the size
                helpers.allowed(cx, node, "probe_read_kernel")
                return _of_any_size(cx, node, ref, layout)
            return _scalar(cx, node, ref, layout)
    cx.fail(node, f"{_shown(ref)} is of a type that a program cannot read", f"{found.kind.name.lower()} {btf.name(ref.type)}")


def _network(btf: Btf, declared: int) -> bool:
    while True:
        found = btf.type(declared)
        if isinstance(found, Typedef) and found.name in NETWORK_ORDER:
            return True
        inner = getattr(found, "type", None)
        if inner is None or isinstance(found, Ptr | Array):
            return False
        declared = inner


def _array(cx: Lowering, ref: KernelRef, found: Array) -> Value:
    btf = btf_of(cx, cx.here)
    element = btf.type(btf.resolve(found.type))
    if not isinstance(element, Int) or element.size != 1 or btf.name(btf.resolve(found.type)) != "char":
        return ref
    size = min(found.length or LONGEST_TEXT, LONGEST_TEXT)
    helpers.allowed(cx, cx.here, "probe_read_kernel_str")
    start = address(cx, ref)

    def write(place: Ref) -> None:
        cx.call("probe_read_kernel_str", [helpers._pointer(cx, place), cx.const(min(size, place.type.size)), start])

    return Fill(CharsType(size), write, leaves=True)


def _pointer(cx: Lowering, node: ast.AST, ref: KernelRef, found: Ptr, shared: bool) -> Value:
    value = _scalar(cx, node, ref, IntType(64), fixed=True)
    assert isinstance(value, IntValue)
    btf, direct = btf_of(cx, node), ref.direct and not shared
    believed = trust.walked(cx, btf, ref, found) if direct else ""
    sure = believed and not ref.nullable and trust.never_null(btf, ref)
    return pointed(cx, node, value.op, found, direct, not sure, believed)


def pointed(cx: Lowering, node: ast.AST, op: Op, found: Ptr, direct: bool, nullable: bool = True, trust: str = "") -> Value:
    """What a pointer in the kernel leads to: an object of the kernel, or else an address."""
    btf = btf_of(cx, node)
    target, here = found.type, ""
    while here not in NO_KERNEL_MEMORY and target and btf.kind(target) in MODIFIERS:
        one = btf.type(target)
        here = one.name if isinstance(one, TypeTag) else ""
        target = btf.third_word(target)
    to = btf.type(btf.resolve(found.type))
    if isinstance(to, Fwd) and _is_declared(cx, found.type):
        return pointing(cx, node, op, named(cx, node, to.name), direct, nullable)  # a declared pointer to an imported type
    if here in NO_KERNEL_MEMORY or not isinstance(to, Struct | Union):
        return IntValue(op, 0, U64)
    return pointing(cx, node, op, found.type, direct, nullable, trust)


def _scalar(cx: Lowering, node: ast.AST, ref: KernelRef, layout: IntType | BoolType, fixed: bool = False) -> Value:
    """`fixed`: it has the same size on all kernels."""
    ref = _cast(cx, node, ref)
    if ref.direct and offset(btf_of(cx, node), ref.root, ref.path) < FARTHEST:
        return _direct(cx, ref, layout)
    helpers.allowed(cx, node, "probe_read_kernel")
    if not fixed and not getattr(layout, "big", False) and len(ref.path) > 1:
        return _of_any_size(cx, node, ref, layout)
    place = memory.temporary(cx, layout)
    cx.call("probe_read_kernel", [place.op, cx.const(layout.size), address(cx, ref)])
    return memory.load(cx, node, replace(place, writable=False))


def _of_any_size(cx: Lowering, node: ast.AST, ref: KernelRef, layout: IntType | BoolType) -> IntValue:
    """An integer that may have another size on another kernel, or be a bit field there: its unit read into 8 bytes of zeros and
    shifted so that nothing else is left. Of one that is larger there these are the low bits, as the program counts on."""
    way = (ref.root, access(ref.path))
    signed, bits = isinstance(layout, IntType) and layout.signed, 8 * layout.size
    place = memory.temporary(cx, IntType(64))
    memory.zero(cx, node, place)
    size = cx.builder.emit("core", I64, [], (int(CoreKind.FIELD_BYTE_SIZE), *way, layout.size))
    cx.call("probe_read_kernel", [place.op, size, address(cx, ref)])
    value = memory.load(cx, node, place)
    assert isinstance(value, IntValue)
    op = value.op
    if not _is_element(btf_of(cx, node), ref):
        left, right = (
            cx.builder.emit("core", I64, [], (int(kind), *way, 64 - bits))
            for kind in (CoreKind.FIELD_LSHIFT_U64, CoreKind.FIELD_RSHIFT_U64)
        )
    else:  # those are asked of fields only, and an element is no bit field
        left = right = cx.builder.emit("sub", I64, [cx.const(64), cx.builder.emit("shl", I64, [size, cx.const(3)])])
    op = cx.builder.emit("shl", I64, [op, left])
    op = cx.builder.emit("ashr" if signed else "lshr", I64, [op, right])
    if isinstance(layout, BoolType):
        return IntValue(cx.builder.emit("ne", BOOL, [op, cx.const(0)]), 0, 1, False, True)
    if not signed:
        return replace(value, op=_low(cx, op, bits), high=layout.high)
    op = cx.builder.emit("sext", I64, [op], (bits,)) if bits < 64 else op
    return IntValue(op, layout.low, layout.high, True)


def _is_element(btf: Btf, ref: KernelRef) -> bool:
    """Whether a place is an element of an array, not a field."""
    here = btf.resolve(ref.root)
    for index in ref.path[1:-1]:
        found = btf.type(here)
        assert isinstance(found, Array | Struct | Union)
        here = btf.resolve(found.type if isinstance(found, Array) else found.members[index].type)
    return btf.kind(here) is Array.kind


def _low(cx: Lowering, op: Op, bits: int) -> Op:
    if bits == 64:
        return op
    return cx.builder.emit("low32", I32, [op]) if bits == 32 else cx.builder.emit("and", I32, [op, cx.const((1 << bits) - 1)])


def _cast(cx: Lowering, node: ast.AST, ref: KernelRef) -> KernelRef:
    """The place by a pointer that the verifier knows, where the kernel makes such a one of any address (bpf_rdonly_cast, Linux
    6.2): once for each pointer on a way."""
    btf, found = btf_of(cx, node), cx.flow.state.get(key := f"cast {ref.root} {id(ref.op)}")
    if ref.direct or not cx.unit.options.kernel_casts or btf.kind(ref.root) not in (Struct.kind, Union.kind) or cx.unit.btf:
        return ref
    if not isinstance(found, IntValue):
        type = cx.builder.emit("core", I64, [], (int(CoreKind.TYPE_ID_TARGET), ref.root, "0", ref.root))
        found = IntValue(kfuncs.call(cx, node, "bpf_rdonly_cast", [ref.op, type]), 0, U64)
        cx.flow.state[key] = found
    return replace(ref, op=found.op, direct=True, nullable=False)


def _direct(cx: Lowering, ref: KernelRef, layout: IntType | BoolType) -> Value:
    """A load through a pointer that the verifier knows."""
    btf = btf_of(cx, cx.here)
    at = offset(btf, ref.root, ref.path)

    def load() -> Value:
        op = cx.builder.emit("core_load", I64, [ref.op], (layout.size, ref.root, access(ref.path), at))
        if isinstance(layout, BoolType):
            return IntValue(cx.builder.emit("ne", BOOL, [op, cx.const(0)]), 0, 1, False, True)
        if layout.big and layout.bits > 8:
            op = cx.builder.emit("tobe", I64 if layout.bits == 64 else I32, [op], (layout.bits,))
        if layout.signed and layout.bits < 64:
            op = cx.builder.emit("sext", I64, [op], (layout.bits,))
        if not layout.signed and not layout.big:
            op = _low(cx, op, layout.bits)  # a kernel may have more there, and then more is loaded
        return IntValue(op, layout.low, layout.high, layout.signed)

    if not ref.nullable:
        return load()
    there = cx.builder.emit("ne", BOOL, [ref.op, cx.const(0)])
    boolean = isinstance(layout, BoolType)
    nothing = IntValue(cx.builder.const(0, BOOL if boolean else None), 0, 0, False, boolean)
    return cx.diamond(there, load, lambda: nothing)


def _bit_field(cx: Lowering, node: ast.AST, ref: KernelRef, bits: int, signed: bool) -> Value:
    """The unit that the bits are in, read into 8 bytes of zeros, and shifted so that nothing else is left. Where unit and bits
    are, and how far to shift, are relocations."""
    btf = btf_of(cx, node)
    unit, start, up, down = bit_field_place(btf, ref, bits)
    way = (ref.root, access(ref.path))
    helpers.allowed(cx, node, "probe_read_kernel")
    place = memory.temporary(cx, IntType(64))
    memory.zero(cx, node, place)
    size = cx.builder.emit("core", I64, [], (int(CoreKind.FIELD_BYTE_SIZE), *way, unit))
    base = cx.builder.emit("core_add", I64, [ref.op], (*way, start))
    cx.call("probe_read_kernel", [place.op, size, base])
    value = memory.load(cx, node, place)
    assert isinstance(value, IntValue)
    left = cx.builder.emit("core", I64, [], (int(CoreKind.FIELD_LSHIFT_U64), *way, up))
    right = cx.builder.emit("core", I64, [], (int(CoreKind.FIELD_RSHIFT_U64), *way, down))
    op = cx.builder.emit("shl", I64, [value.op, left])
    op = cx.builder.emit("ashr" if signed else "lshr", I64, [op, right])
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return IntValue(_low_bits(cx, op, bits, signed), low, high, signed)


def _low_bits(cx: Lowering, op: Op, bits: int, signed: bool) -> Op:
    """The bits that a field has here; it may have more on another kernel."""
    if not signed:
        return cx.builder.emit("and", I64, [op, cx.const((1 << bits) - 1)])
    return cx.builder.emit("ashr", I64, [cx.builder.emit("shl", I64, [op, cx.const(64 - bits)]), cx.const(64 - bits)])


def bit_field_place(btf: Btf, ref: KernelRef, bits: int) -> tuple[int, int, int, int]:
    """(bytes of the unit, its first byte, shift left, shift right), as libbpf reckons them for little endian."""
    struct, first = btf.resolve(ref.root), 0
    for index in ref.path[1:]:
        found = btf.type(struct)
        if isinstance(found, Array):
            first += 8 * index * btf.size_of(found.type)
            struct = btf.resolve(found.type)
        else:
            assert isinstance(found, Struct | Union)
            first += found.members[index].bit_offset
            struct = btf.resolve(found.members[index].type)
    unit = btf.size_of(struct)
    start = first // 8 // unit * unit
    while first + bits - 8 * start > 8 * unit:
        unit *= 2
        start = first // 8 // unit * unit
    return unit, start, 64 - (first + bits - 8 * start), 64 - bits
