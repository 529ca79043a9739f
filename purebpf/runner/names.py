"""What a program's names stand for when it runs as Python: maps, records, functions and short names on the program's side.

A new kind of object takes one function, registered with `@stands_for(the_object)` or `@stands_for_kind(its_class)`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from purebpf.compiler.frontend import pure
from purebpf.errors import Error
from purebpf.lang.types import StructType, type_of
from purebpf.runner.views import Record, place_of, store

if TYPE_CHECKING:
    from purebpf.runner.session import Runner

Maker = Callable[["Runner", Any], Any]
M = TypeVar("M", bound=Maker)
OBJECTS: dict[int, tuple[object, Maker]] = {}
"""By the object's id; the object is kept so that no other gets the id."""
KINDS: list[tuple[type, Maker]] = []
OURS = "purebpf."
PLAIN = (int, str, bytes, float, bool, type(None), range, enum.Enum)


def stands_for(*objects: object) -> Callable[[M], M]:
    """Registers what makes the program's side of these very objects."""

    def register(make: M) -> M:
        for each in objects:
            OBJECTS[id(each)] = each, make
        return make

    return register


def stands_for_kind(*classes: type) -> Callable[[M], M]:
    """Registers what makes the program's side of the instances of these classes."""

    def register(make: M) -> M:
        KINDS.extend((each, make) for each in classes)
        return make

    return register


def seen(runner: Runner, value: Any) -> Any:
    """What the program has for an object of the Python around it; the same for the same object."""
    if isinstance(value, PLAIN):
        return value
    known = runner.known.get(id(value))
    if known is None:
        known = runner.known[id(value)] = value, _made(runner, value)
    return known[1]


def _made(runner: Runner, value: Any) -> Any:
    if id(value) in OBJECTS:
        return OBJECTS[id(value)][1](runner, value)
    for kind, make in KINDS:
        if isinstance(value, kind):
            return make(runner, value)
    if isinstance(value, FunctionType):
        ours = value.__module__.startswith(OURS) and value.__module__ != "purebpf.net"
        return value if ours or pure.computable(value) else runner.function(value)
    if isinstance(value, ModuleType):
        return Namespace(runner, value)
    if isinstance(value, type):
        return _class(runner, value)
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        items = type(value)(seen(runner, item) for item in value)
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    if type(value) is dict:
        entries = {key: seen(runner, item) for key, item in value.items()}
        return entries if any(entries[key] is not item for key, item in value.items()) else value
    return value


def _class(runner: Runner, value: type) -> Any:
    layout = type_of(value)
    if isinstance(layout, StructType):
        return record_class(runner, layout)
    if issubclass(value, enum.Enum) or value.__module__ == "builtins" or layout is not None or pure.computable(value):
        return value
    return Namespace(runner, value)


class Namespace(ModuleType):
    """A module or class whose members are seen from the program's side."""

    def __init__(self, runner: Runner, of: Any) -> None:
        super().__init__(of.__name__, of.__doc__)
        self.__dict__["?runner"], self.__dict__["?of"] = runner, of

    def __getattr__(self, name: str) -> Any:
        member = seen(self.__dict__["?runner"], getattr(self.__dict__["?of"], name))
        self.__dict__[name] = member
        return member

    def __setattr__(self, name: str, value: Any) -> None:
        raise Error(f"`{self.__name__}` cannot be assigned to in a program")

    def __repr__(self) -> str:
        return repr(self.__dict__["?of"])


class RecordClass(type):
    """The class of a `@bpf.struct` on the program's side: calling it makes a record in memory; the rest is the author's
    class's own."""

    def __call__(cls, **values: Any) -> Any:
        runner, layout = cls.__bpf_runner__, cls.__bpf_type__
        made = runner.zeroed(layout)
        block, _, _ = place_of(made)
        if layout.union and len(values) > 1:
            raise TypeError(f"{layout.name} is a union: give one of {', '.join(values)}")
        for field in layout.values:
            if field.name in values:
                setattr(made, field.name, values.pop(field.name))
            elif layout.union:
                continue
            elif field.required:
                raise TypeError(f"{layout.name}() needs `{field.name}`")
            elif field.default and field.bits:
                setattr(made, field.name, field.default)
            elif not field.bits:
                store(block, field.offset, field.type, field.default)
        if values:
            raise TypeError(f"{layout.name} has no field `{next(iter(values))}`")
        return made

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, Record) and place_of(value)[2] is cls.__bpf_type__

    def __getattr__(cls, name: str) -> Any:
        return seen(cls.__dict__["__bpf_runner__"], getattr(cls.__dict__["__bpf_type__"].record, name))

    __bpf_runner__: Runner
    __bpf_type__: StructType


def record_class(runner: Runner, layout: StructType) -> type:
    """The program's side of a record's class."""
    body = {"__bpf_runner__": runner, "__bpf_type__": layout, "__match_args__": tuple(f.name for f in layout.values)}
    return RecordClass(layout.name, (), body)
