"""A program's parameters: its context, or those of the traced function itself, by name.

    @bpf.fentry("tcp_v4_connect")
    def connecting(sk, addr_len): ...          # any subset of `struct sock *sk, struct sockaddr *uaddr, int addr_len`

Names and types come from the kernel's BTF. Typed programs find the arguments in an array of 64-bit slots (kernel/bpf/btf.c:
btf_ctx_access), probes in the registers of the calling convention. Where BTF does not know the function they are `arg0` to
`arg5`; where it ends `ret` is its result.
"""

from __future__ import annotations

import ast
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from purebpf.btf.hooks import KERNEL, Hook, find_hook
from purebpf.btf.running import module_btf
from purebpf.btf.types import Enum, Enum64, Func, FuncProto, Int, Kind, Ptr, Struct, Typedef, Union
from purebpf.compiler.frontend import kernel
from purebpf.compiler.frontend.annotations import annotation_value, check_context
from purebpf.compiler.frontend.values import U64, Context, IntValue, Value
from purebpf.compiler.ir.ops import BOOL, I32, I64, Op
from purebpf.data import data
from purebpf.errors import Error
from purebpf.lang.types import type_of
from purebpf.tables.enums import AttachType

if TYPE_CHECKING:
    from purebpf.btf.reader import Btf
    from purebpf.compiler.frontend.lower import Lowering
    from purebpf.compiler.frontend.source import Source
    from purebpf.compiler.frontend.user_parameters import Found, UserSlot

TYPED = frozenset({"fentry", "fexit", "fmod_ret", "lsm", "lsm_cgroup", "tp_btf", "iter", "struct_ops"})
TRUSTED = frozenset(
    {"lsm", "lsm_cgroup", "tp_btf", "iter", "struct_ops"}
)  # whose arguments the verifier trusts (prog_args_trusted)
AT_THE_END = frozenset({"fexit", "fmod_ret", "lsm", "kretprobe"})  # those that have `ret`
USER = frozenset({"uprobe", "uretprobe", "uprobe_session"})  # on functions of processes
PROBES = frozenset({"kprobe", "kretprobe", "kprobe_session"})
RET = "ret"
MOST = 6  # arguments in registers that have a name without BTF
# Byte offsets in struct pt_regs of the arguments, and of the result: the calling conventions' registers.
REGISTERS = {
    "x86_64": ((112, 104, 96, 88, 72, 64), 80),  # di si dx cx r8 r9; ax
    "aarch64": (tuple(range(0, 8 * MOST, 8)), 0),  # x0 to x5; x0
}


@data
class Slot:
    """Where an argument is in the context (bytes), and its type's number; 0 for one of which nothing is known."""

    offset: int
    type: int


def bind(cx: Lowering, source: Source) -> None:
    """Give a program's parameters their values."""
    from purebpf.compiler.frontend import statements

    given = source.node.args
    names = [*given.posonlyargs, *given.args]
    kind = cx.unit.kind
    assert cx.context is not None
    if given.kwonlyargs:
        cx.fail(given.kwonlyargs[0], f"a `@bpf.{kind.decorator}` program has no parameters behind a `*`")
    contexts = [argument for argument in names if _is_context(cx, argument)]
    for argument in contexts:
        check_context(cx, argument)
    if contexts == names:
        cx.flow.names |= {argument.arg: Context(cx.context) for argument in contexts}
        return
    if kind.decorator in ("ksyscall", "kretsyscall"):
        from purebpf.compiler.frontend import system_calls

        return system_calls.bind(cx, source, names, contexts)
    if kind.decorator == "struct_ops":
        from purebpf.compiler.frontend import struct_ops

        return struct_ops.bind(cx, source, names, contexts)
    if kind.decorator == "usdt":
        from purebpf.compiler.frontend import usdt

        return usdt.bind(cx, source, names, contexts)
    if kind.of is not None:
        from purebpf.compiler.frontend import traced_programs

        return traced_programs.bind(cx, source, names, contexts)
    if kind.decorator in USER:
        return _bind_user(cx, source, names, contexts)
    slots = _slots(cx, source)
    for argument in names:
        with cx.at(argument):
            if argument in contexts:
                value: Value = Context(cx.context)
            elif argument.arg in slots:
                value = _entry(cx, argument, slots[argument.arg]) or _value(cx, argument, slots[argument.arg])
            else:
                _unknown(cx, argument, slots)
            statements.bind(cx, argument, argument.arg, value)


def _bind_user(cx: Lowering, source: Source, names: list[ast.arg], contexts: list[ast.arg]) -> None:
    """The parameters of a function of a process."""
    from purebpf.compiler.frontend import statements, user_parameters

    registers, result = registers_here(cx, source)
    try:
        found = user_parameters.find(cx.unit.kind, cx.unit.hook, registers, result)
    except Error as error:
        cx.fail(source.node.decorator_list[0] if source.node.decorator_list else source.node, str(error))
    assert cx.context is not None
    for argument in names:
        with cx.at(argument):
            if argument in contexts:
                value: Value = Context(cx.context)
            elif argument.arg in found.slots:
                value = _user_value(cx, found.slots[argument.arg])
            else:
                _unknown_user(cx, argument, found)
            statements.bind(cx, argument, argument.arg, value)


def _unknown_user(cx: Lowering, argument: ast.arg, found: Found) -> NoReturn:
    name, hook = argument.arg, cx.unit.hook
    if name in found.unreadable:
        cx.fail(argument, f"`{name}` of `{hook}` cannot be read", found.unreadable[name], "leave it out")
    known = ", ".join(found.slots)
    if cx.unit.kind.decorator == "uretprobe":
        hint = "a uretprobe has `ret` only, the result: keep arguments in a map, by thread, in a uprobe"
    elif name == RET:
        hint = "the result is there where the function ends: in a uretprobe"
    elif found.described:
        hint = f"it has: {known}"
    else:
        hint = f"the file has no debugging information for it, so its parameters are: {known}"
    cx.fail(argument, f"`{hook}` has no parameter `{name}`", hint=hint)


def _user_value(cx: Lowering, slot: UserSlot) -> IntValue:
    assert cx.context is not None
    whole = cx.builder.emit("load", I64, [cx.context], (8, 0, slot.offset))
    if slot.type is None or slot.type.kind == "pointer":
        return IntValue(whole, 0, U64)
    if slot.type.kind == "bool":
        return _boolean(cx, whole)
    return narrowed(cx, whole, 8 * slot.type.size, slot.type.signed)


def _is_context(cx: Lowering, argument: ast.arg) -> bool:
    if argument.annotation is None:
        return argument.arg == "ctx"
    return hasattr(annotation_value(cx, argument.annotation), "__bpf_context__")


def _unknown(cx: Lowering, argument: ast.arg, slots: dict[str, Slot]) -> NoReturn:
    kind, hook = cx.unit.kind.decorator, cx.unit.hook
    known = ", ".join(name for name in slots) or "none"
    if kind == "kretprobe":
        hint = "a kretprobe has `ret` only, the result: fexit has the arguments too"
    elif argument.arg == RET:
        hint = "the result is there where the function ends: in fexit and kretprobe"
    else:
        hint = f"it has: {known}"
    cx.fail(argument, f"`{hook}` has no parameter `{argument.arg}`", hint=hint)


def _slots(cx: Lowering, source: Source) -> dict[str, Slot]:
    """The traced function's parameters, and `ret` where the kind has it."""
    kind = cx.unit.kind.decorator
    try:
        found = _prototype(cx)
    except Error as error:
        if kind in TYPED:
            cx.fail(source.node, str(error))
        found = None
    if kind in PROBES:
        return _registers(cx, source, found)
    assert found is not None
    btf, prototype = found
    slots, at = {}, 0
    parameters = prototype.parameters[1:] if kind == "tp_btf" else prototype.parameters
    for number, parameter in enumerate(parameters):
        if parameter.type:
            slots[parameter.name or f"arg{number}"] = Slot(at, parameter.type)
            at += -(-btf.size_of(parameter.type) // 8) * 8
    if kind in AT_THE_END and prototype.returns:
        slots[RET] = Slot(at, prototype.returns)
    return slots


def _prototype(cx: Lowering) -> tuple[Btf, FuncProto] | None:
    """The traced function in BTF; None for what BTF does not know."""
    kind, hook = cx.unit.kind, cx.unit.hook
    place: Hook | None
    if kind.decorator in PROBES:
        plain = kind.attach is None and "+" not in hook
        place = find_hook(AttachType.TRACE_FENTRY, hook) if plain else None
    elif kind.decorator == "tp_btf":
        place = _tracepoint(hook)
    else:
        assert kind.attach is not None
        place = find_hook(kind.attach, hook)
    if place is None:
        return None
    btf = module_btf(place.module)
    if place.module != KERNEL:
        cx.unit.btf = btf
    function = btf.type(place.number)
    assert isinstance(function, Func)
    prototype = btf.type(function.type)
    assert isinstance(prototype, FuncProto)
    return btf, prototype


def of_void_hook(cx: Lowering) -> bool:
    """Whether the traced function gives nothing back."""
    try:
        found = _prototype(cx)
    except Error:
        return False
    return found is not None and not found[1].returns


def _tracepoint(event: str) -> Hook | None:
    """The function that calls an event's probes: its parameters have names (include/linux/tracepoint.h)."""
    declared = find_hook(AttachType.TRACE_RAW_TP, event)
    if declared is None:
        return None
    name = f"__traceiter_{event.rpartition(':')[2]}"
    numbers = module_btf(declared.module).types_named(name, Kind.FUNC)
    return Hook(declared.module, numbers[0]) if numbers else None


def registers_here(cx: Lowering, source: Source) -> tuple[tuple[int, ...], int]:
    """Where arguments and the result are on this machine."""
    machine = os.uname().machine
    if machine not in REGISTERS or sys.maxsize < 1 << 32:
        cx.fail(source.node, f"where functions have their arguments on {machine} is not known", hint="take the context: `ctx`")
    return REGISTERS[machine]


def _registers(cx: Lowering, source: Source, found: tuple[Btf, FuncProto] | None) -> dict[str, Slot]:
    registers, result = registers_here(cx, source)
    if cx.unit.kind.decorator in AT_THE_END:
        return {RET: Slot(result, found[1].returns if found is not None else 0)}
    if found is None:
        slots = {f"arg{number}": Slot(offset, 0) for number, offset in enumerate(registers)}
        return slots | ({RET: Slot(result, 0)} if cx.unit.kind.decorator == "kprobe_session" else {})
    btf, prototype = found
    slots = {}
    for number, (parameter, offset) in enumerate(zip(prototype.parameters, registers, strict=False)):
        if not parameter.type or btf.kind(btf.resolve(parameter.type)) in (Kind.STRUCT, Kind.UNION, Kind.FLOAT):
            break  # what comes behind is in other registers, or in none
        slots[parameter.name or f"arg{number}"] = Slot(offset, parameter.type)
    return slots


def _value(cx: Lowering, node: ast.AST, slot: Slot) -> Value:
    """An argument: 64 bits of the context, of which those of its type count."""
    assert cx.context is not None
    whole = cx.builder.emit("load", I64, [cx.context], (8, 0, slot.offset))
    if not slot.type:
        return IntValue(whole, 0, U64)
    btf = kernel.btf_of(cx, node)
    found = btf.type(btf.resolve(slot.type))
    match found:
        case Ptr():
            direct = cx.unit.kind.decorator in TYPED and cx.unit.options.kernel_pointers
            there = cx.unit.kind.decorator in ("fentry", "fexit") or (cx.unit.kind.decorator == "iter" and not slot.offset)
            nullable = not direct or not there  # an iterator's first is its own
            trusted = direct and cx.unit.kind.decorator in TRUSTED
            return kernel.pointed(cx, node, whole, found, direct, nullable, "trusted" if trusted else "")
        case Int(bool=True):
            return _boolean(cx, whole)
        case Int(size=size, signed=signed) | Enum(size=size, signed=signed) | Enum64(size=size, signed=signed) if size <= 8:
            return narrowed(cx, whole, 8 * size, signed)
        case Struct() | Union() | Typedef():
            cx.fail(node, "a struct that is passed by value cannot be read", hint="leave this parameter out")
    cx.fail(node, f"a parameter of the type {btf.name(slot.type)!r} cannot be read", hint="leave it out")


def _boolean(cx: Lowering, whole: Op) -> IntValue:
    low = cx.builder.emit("and", I32, [whole, cx.const(0xFF)])
    return IntValue(cx.builder.emit("ne", BOOL, [low, cx.const(0)]), 0, 1, False, True)


def _entry(cx: Lowering, node: ast.arg, slot: Slot) -> Value | None:
    """The entry of a map that an iterator goes through: of the type that its `key` or `value` is annotated with."""
    if cx.unit.kind.decorator != "iter" or node.arg not in ("key", "value") or node.annotation is None:
        return None
    from purebpf.compiler.frontend import iterators

    layout = type_of(annotation_value(cx, node.annotation))
    cx.frame.types.pop(node.arg, None)
    return None if layout is None else iterators.entry(cx, node, node.arg, slot.offset, layout)


def narrowed(cx: Lowering, whole: Op, bits: int, signed: bool) -> IntValue:
    """The low bits, with the sign that the type has: what is above them in a register is anything."""
    if signed:
        low, high = -(1 << bits - 1), (1 << bits - 1) - 1
        return IntValue(cx.builder.emit("sext", I64, [whole], (bits,)) if bits < 64 else whole, low, high, True)
    if bits == 32:
        whole = cx.builder.emit("low32", I32, [whole])
    elif bits < 32:
        whole = cx.builder.emit("and", I32, [whole, cx.const((1 << bits) - 1)])
    return IntValue(whole, 0, (1 << bits) - 1)
