"""Structs and unions of the kernel that an author declares himself, with the fields that he needs:

    class task_struct(bpf.KernelStruct):
        tgid: s32
        comm: str = bpf.chars(16)
        real_parent: task_struct = bpf.pointer()

Order and places do not matter, since every access is found by name in the kernel that the program is loaded into (CO-RE). So no
BTF is read when the program is compiled. `task_struct___old` is a flavour: another view of the kernel's `task_struct`.
"""

from __future__ import annotations

import enum
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from purebpf.data import data
from purebpf.errors import Error
from purebpf.lang import declaring
from purebpf.lang.kernel_types import KernelName
from purebpf.lang.records import Specifier
from purebpf.lang.types import BoolType, IntType, StructType, Type, type_of

USAGE = (
    "use u8 to s64, be16 to be64, bool, an IntEnum, a bpf.KernelStruct, or a specifier such as bpf.chars(16) or bpf.pointer()"
)


class Pointer:
    """What `bpf.pointer()` gives."""

    def __repr__(self) -> str:
        return "bpf.pointer()"


def pointer() -> Any:
    """A field of a `bpf.KernelStruct` that points to what its annotation says: another struct of the kernel, or, as `u64`, an
    address."""
    return Pointer()


@data
class KernelField:
    """A declared field. `holds` is a layout, a declared or imported type of the kernel, or an enum; `count` elements of it if
    it is an array, `bits` its width if it is a bit field."""

    name: str
    holds: Type | type
    pointer: bool = False
    count: int | None = None
    bits: int = 0


class Declared(KernelName):
    """The class of declared structs and unions."""

    __bpf_names__: tuple[dict[str, Any], dict[str, Any]]
    __bpf_fields__: tuple[KernelField, ...] | None

    def __new__(mcs, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> Declared:
        cls = super().__new__(mcs, name, bases, members)
        cls.__bpf_kernel_type__ = name
        if not bases:
            return cls
        if bases not in ((KernelStruct,), (KernelUnion,)):
            raise declaring.in_class(cls, "", "a struct of the kernel inherits nothing but bpf.KernelStruct or bpf.KernelUnion")
        scope = sys._getframe(1)
        cls.__bpf_names__ = scope.f_globals, dict(scope.f_locals)
        cls.__bpf_fields__ = None
        _refuse_others(cls)
        with suppress(NameError):  # of a class that comes later; asked again when a program uses the type
            fields_of(cls)
        return cls

    @property
    def is_union(cls) -> bool:
        return issubclass(cls, KernelUnion)


if TYPE_CHECKING:

    class KernelStruct:
        """For a checker: `task_struct(address)` is what lies at an address, or another view of an object of the kernel."""

        def __init__(self, address: object, /) -> None: ...

    class KernelUnion:
        """The same for a union."""

        def __init__(self, address: object, /) -> None: ...

else:
    KernelStruct = Declared("KernelStruct", (), {"__doc__": "The base of structs of the kernel that a program declares."})
    KernelUnion = Declared("KernelUnion", (), {"__doc__": "The base of unions of the kernel that a program declares."})


def fields_of(cls: Declared) -> tuple[KernelField, ...]:
    """The fields of a declared type. Raises Error at the field, NameError for an annotation that names nothing yet."""
    if cls.__bpf_fields__ is None:
        cls.__bpf_fields__ = tuple(_field(cls, name) for name in _annotations(cls))
    return cls.__bpf_fields__


def all_fields_of(cls: Declared) -> tuple[KernelField, ...]:
    """The same when a program uses the type, and every name must be there. Raises Error."""
    try:
        return fields_of(cls)
    except NameError as error:
        raise declaring.in_class(cls, "", f"an annotation cannot be resolved: {error}") from None


def described(cls: Declared) -> object:
    """All that is known of the type, as plain data: equal for equal declarations."""
    seen: dict[Declared, int] = {}

    def describe(holds: Type | type) -> object:
        if not isinstance(holds, type):
            return repr(holds)
        if issubclass(holds, enum.IntEnum):
            return holds.__name__, [(one.name, int(one)) for one in holds]
        if not isinstance(holds, Declared) or holds in seen:
            return holds.__name__, seen.get(holds, -1)  # type: ignore[call-overload]
        seen[holds] = len(seen)
        fields = [(f.name, describe(f.holds), f.pointer, f.count, f.bits) for f in all_fields_of(holds)]
        return holds.__name__, holds.is_union, fields

    return describe(cls)


def _refuse_others(cls: Declared) -> None:
    annotated = _annotations(cls)
    for name, member in vars(cls).items():
        if name in annotated or (name.startswith("__") and name.endswith("__")):
            continue
        what = "has fields only" if callable(member) else "has annotated fields only"
        hint = "make it a plain function" if callable(member) else "`pid: s32`, or `comm: str = bpf.chars(16)`"
        raise declaring.in_class(cls, name, f"a struct of the kernel {what}", hint)


def _annotations(cls: Declared) -> dict[str, Any]:
    """Those of the class itself: of one that has none, Python gives those of its metaclass."""
    found = cls.__annotations__
    return {} if found is Declared.__annotations__ else found


def _plain_name(cls: Declared, name: str) -> str:
    """A field's name as it is written: Python has changed that of `__sk_common` into `_sock__sk_common`."""
    mangled = f"_{cls.__name__.lstrip('_')}__"
    return name[len(mangled) - 2 :] if name.startswith(mangled) else name


def _field(cls: Declared, mangled: str) -> KernelField:
    annotation = cls.__annotations__[mangled]
    name, given = _plain_name(cls, mangled), cls.__dict__.get(mangled)
    if isinstance(annotation, str):
        outer, inner = cls.__bpf_names__
        try:
            annotation = eval(annotation, outer, {**inner, cls.__name__: cls})
        except NameError:
            raise
        except Exception as error:
            raise declaring.in_class(cls, name, f"the annotation `{annotation}` cannot be resolved: {error}") from None
    if annotation is given and given is not None:
        hint = f'quote it: `{name}: "{name}" = {given!r}`, or write `from __future__ import annotations` at the top'
        raise declaring.in_class(
            cls, name, "the field has the name of its type, which Python has given its value already", hint
        )
    if given is not None and not isinstance(given, Specifier | Pointer | Elements):
        raise declaring.in_class(cls, name, "a field of the kernel has no default", "it has the value that is there")
    if isinstance(given, Pointer):
        return _pointer(cls, name, annotation)
    if isinstance(given, Elements):
        return KernelField(name, given.holds, count=given.count)
    if isinstance(given, Specifier) and not given.bits:
        return KernelField(name, given.__bpf_type__)
    return _value(cls, name, annotation, given.bits if given else 0)


def _pointer(cls: Declared, name: str, annotation: Any) -> KernelField:
    if isinstance(annotation, KernelName):
        return KernelField(name, annotation, pointer=True)
    if annotation is int or isinstance(type_of(annotation), IntType):
        return KernelField(name, IntType(64), pointer=True)
    what = getattr(annotation, "__name__", annotation)
    raise declaring.in_class(
        cls, name, f"`{what}` is nothing in the kernel to point to", "a bpf.KernelStruct, or u64 for the address alone"
    )


def _value(cls: Declared, name: str, annotation: Any, bits: int) -> KernelField:
    layout = type_of(annotation)
    number = isinstance(layout, IntType) or (isinstance(annotation, type) and issubclass(annotation, enum.IntEnum))
    if bits:
        if not number or bits > 64 or getattr(layout, "big", False):
            raise declaring.in_class(
                cls, name, f"bpf.bits({bits}) is for an integer of the kernel", "`flag: u32 = bpf.bits(1)`"
            )
        return KernelField(name, annotation if layout is None else layout, bits=bits)
    if isinstance(layout, IntType | BoolType):
        return KernelField(name, layout)
    if number or isinstance(annotation, Declared):
        return KernelField(name, annotation)
    what = getattr(annotation, "__name__", annotation)
    if isinstance(annotation, KernelName):
        hint = f"`{name}: {what} = bpf.pointer()` if it is a pointer; else declare {what} as a bpf.KernelStruct too"
        raise declaring.in_class(cls, name, f"how large `{what}` is only the kernel's BTF knows", hint)
    if isinstance(layout, StructType):
        hint = f"declare what you need of it as `class {what}(bpf.KernelStruct)`"
        raise declaring.in_class(cls, name, f"`{what}` is a record of your own, not one of the kernel", hint)
    raise declaring.in_class(cls, name, f"`{what}` is no type of a field of the kernel", USAGE)


class Elements:
    """What `bpf.array(T, n)` gives for a type of the kernel."""

    def __init__(self, holds: type, count: int) -> None:
        if not isinstance(holds, Declared):
            raise Error(f"bpf.array(T, n): how large `{holds.__name__}` is only the kernel's BTF knows; declare it")
        self.holds, self.count = holds, count

    def __repr__(self) -> str:
        return f"bpf.array({self.holds.__name__}, {self.count})"
