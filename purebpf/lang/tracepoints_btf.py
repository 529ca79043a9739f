"""The fields of tracepoints from the running kernel's BTF, for those who may not read tracefs.

The kernel lays an event out as `struct trace_event_raw_<class>` (include/trace/stages/); many events share a class. BTF does
not say which class an event has, but both have a function type: `btf_trace_<event>` and `__bpf_trace_<class>`. What fits more
than one layout is refused. System calls have no such structure: their arguments lie in 8-byte slots from offset 16 on
(kernel/trace/trace_syscalls.c), and `__do_sys_<name>` names them where the compiler kept it. Events of modules are not looked
for.
"""

from __future__ import annotations

from collections.abc import Iterator

from purebpf.btf.reader import Btf
from purebpf.btf.running import kernel_btf
from purebpf.btf.types import (
    Array,
    Const,
    Enum,
    Enum64,
    Func,
    FuncProto,
    Int,
    Kind,
    Member,
    Parameter,
    Ptr,
    Restrict,
    Struct,
    Typedef,
    TypeTag,
    Union,
    Volatile,
)
from purebpf.data import replace
from purebpf.errors import Error
from purebpf.lang.tracepoints import COMMON, EventField, did_you_mean, similar, spelling
from purebpf.lang.types import ArrayType, BoolType, CharsType, IntType, Type

RAW = "trace_event_raw_"
CALLS = ("__do_sys_", "__x64_sys_", "__arm64_sys_", "__riscv_sys_", "__s390x_sys_")  # the call itself, its wrappers
DYNAMIC = ("__data_loc_", "__rel_loc_")
FIRST_ARGUMENT = 16


def fields_of(hook: str, btf: Btf | None = None) -> dict[str, EventField]:
    """The fields of "category/name" as `event_fields` gives them. Raises Error, a clause without subject, when BTF does not
    tell them; Unsupported when the kernel offers no BTF (it takes Linux 5.4)."""
    btf = kernel_btf() if btf is None else btf
    category, name = hook.split("/")
    if category == "syscalls":
        return {spelling(field.name): field for field in (*_common(btf), *_system_call(btf, name))}
    layout = _layout(btf, name)
    found = (_field(btf, member) for member in layout.members if member.name not in ("ent", "__data"))
    return {spelling(field.name): field for field in (*_common(btf), *found)}


def _common(btf: Btf) -> Iterator[EventField]:
    """`struct trace_entry`, under the names that the formats in tracefs give its members."""
    for member in _struct(btf, btf.find("trace_entry", Kind.STRUCT)).members:
        yield replace(_field(btf, member), name=f"common_{member.name}", type=None)


def _struct(btf: Btf, number: int) -> Struct:
    found = btf.type(number)
    if not isinstance(found, Struct):
        raise Error(f"type {number} of the kernel's BTF is no structure")
    return found


def _layout(btf: Btf, event: str) -> Struct:
    """The structure of an event: that of its own name, or of the one class whose functions take the same arguments."""
    for name in (event, f"{event}_template", f"{event}_class"):
        numbers = btf.types_named(RAW + name, Kind.STRUCT)
        if len(numbers) == 1 and (name == event or name in _classes(btf, event)):
            return _struct(btf, numbers[0])
    classes = _classes(btf, event)
    layouts = [_struct(btf, number) for name in classes for number in btf.types_named(RAW + name, Kind.STRUCT)]
    if not layouts:
        raise Error(f"the kernel's own types have no `struct {RAW}{event}`, nor a class of events for it")
    if any(layout.members != layouts[0].members for layout in layouts):
        raise Error(f"by the kernel's types it may have any of these layouts: {', '.join(layout.name for layout in layouts)}")
    return layouts[0]


def _classes(btf: Btf, event: str) -> list[str]:
    """The classes of events whose functions take what those of `event` take."""
    wanted = None
    for number in btf.types_named(f"btf_trace_{event}", Kind.TYPEDEF):
        typedef = btf.type(number)
        pointer = btf.type(typedef.type) if isinstance(typedef, Typedef) else None
        wanted = _arguments(btf, pointer.type) if isinstance(pointer, Ptr) else None
    if wanted is None:
        return []
    prefix = "__bpf_trace_"
    return [name.removeprefix(prefix) for name, prototype in _functions(btf, prefix) if _arguments(btf, prototype) == wanted]


def _arguments(btf: Btf, prototype: int) -> tuple[int, ...] | None:
    """The types that a function takes after its private data; names play no part."""
    found = btf.type(prototype)
    return tuple(parameter.type for parameter in found.parameters[1:]) if isinstance(found, FuncProto) else None


def _functions(btf: Btf, prefix: str) -> Iterator[tuple[str, int]]:
    """(name, number of the prototype) of the functions whose name begins so."""
    for number in btf.numbers(Kind.FUNC):
        name = btf.name(number)
        if name.startswith(prefix):
            found = btf.type(number)
            assert isinstance(found, Func)
            yield name, found.type


def _field(btf: Btf, member: Member) -> EventField:
    offset, c_type = member.bit_offset // 8, c_name(btf, member.type)
    for prefix in DYNAMIC:
        if member.name.startswith(prefix):
            return EventField(member.name.removeprefix(prefix), prefix.removesuffix("_"), offset, None)
    type = None if member.bit_size or offset < COMMON else layout_of(btf, member.type)
    return EventField(member.name, c_type, offset, type)


def layout_of(btf: Btf, number: int) -> Type | None:
    """The language's layout of a C type; None where it has no such type (structures, arrays without length)."""
    found = btf.type(btf.resolve(number))
    match found:
        case Int(bool=True):
            return BoolType()
        case Int() | Enum() | Enum64() if found.size in (1, 2, 4, 8):
            return IntType(8 * found.size, found.signed)
        case Ptr():
            return IntType(8 * btf.pointer_size)
        case Array(length=length) if length:
            element = btf.type(btf.resolve(found.type))
            if isinstance(element, Int) and element.name == "char":
                return CharsType(length)
            inner = layout_of(btf, found.type)
            return ArrayType(inner, length) if isinstance(inner, IntType | BoolType) else None
    return None


def c_name(btf: Btf, number: int) -> str:
    """A C type as a person writes it, as far as formats in tracefs go: no functions, no nested arrays."""
    found = btf.type(number)
    match found:
        case Ptr():
            return f"{c_name(btf, found.type)} *".replace("* *", "**")
        case Array():
            return f"{c_name(btf, found.type)}[{found.length}]"
        case Struct() | Union() | Enum() | Enum64():
            word = "enum" if isinstance(found, Enum | Enum64) else found.kind.name.lower()
            return f"{word} {found.name}".strip()
        case Const() | Volatile() | Restrict():
            return f"{found.kind.name.lower()} {c_name(btf, found.type)}"
        case TypeTag():
            return c_name(btf, found.type)
        case Int() | Typedef():
            return found.name
    return "void"  # also of a function behind a pointer: the address is all there is to read


def _system_call(btf: Btf, event: str) -> Iterator[EventField]:
    way, _, call = event.removeprefix("sys_").partition("_")
    if way not in ("enter", "exit") or not any(btf.types_named(prefix + call, Kind.FUNC) for prefix in CALLS):
        calls = {name.removeprefix(prefix) for prefix in CALLS for name, _ in _functions(btf, prefix)}
        near = [f"syscalls/sys_{'exit' if way == 'exit' else 'enter'}_{name}" for name in similar(call, sorted(calls))]
        raise Error(did_you_mean(f"the kernel's types have no system call for `syscalls/{event}`", near))
    yield EventField("__syscall_nr", "int", COMMON, IntType(32, True))
    if way == "exit":
        yield EventField("ret", "long", FIRST_ARGUMENT, IntType(64, True))
        return
    for index, parameter in enumerate(_parameters(btf, call)):
        offset = FIRST_ARGUMENT + 8 * index
        yield EventField(parameter.name, c_name(btf, parameter.type), offset, layout_of(btf, parameter.type))


def _parameters(btf: Btf, call: str) -> tuple[Parameter, ...]:
    """What a system call takes, by the function inside its wrappers (those take the saved registers, whatever the call)."""
    for number in btf.types_named(CALLS[0] + call, Kind.FUNC):
        found = btf.type(number)
        prototype = btf.type(found.type) if isinstance(found, Func) else None
        if isinstance(prototype, FuncProto):
            nothing = [parameter.name for parameter in prototype.parameters] == ["__unused"]  # SYSCALL_DEFINE0
            return () if nothing else prototype.parameters
    raise Error(f"the kernel's types do not name the arguments of the system call `{call}`")
