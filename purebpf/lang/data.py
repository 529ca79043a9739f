"""`@bpf.globals` and `@bpf.config`: one object for both sides, whose attributes lie in memory that programs load from directly.

Each is an array map with one entry, as a compiler's .data or .rodata section would be. Globals are mapped into this process
(BPF_F_MMAPABLE, Linux 5.5), so that both sides read and write the same bytes. A config is written before the first load that
uses it and frozen then (Linux 5.2): the verifier takes its values for constants and drops the branches that they switch off.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FunctionType, MethodType
from typing import Any, Protocol, TypeVar, dataclass_transform, overload

from purebpf.data import replace
from purebpf.engine import Engine, EngineMap
from purebpf.errors import Error, NotLoaded
from purebpf.lang import declaring
from purebpf.lang.map_types import section_types
from purebpf.lang.maps.declaration import KEY32, MapDeclaration
from purebpf.lang.records import lay_out
from purebpf.lang.types import ArrayType, Field, KernelType, StructType, Type, bits_of, encode_bits, kept_fields
from purebpf.spec import MapSpec, VariableSpec
from purebpf.tables.enums import MapType

T = TypeVar("T")

BPF_F_RDONLY_PROG = 1 << 7
BPF_F_MMAPABLE = 1 << 10


@dataclass_transform(kw_only_default=True)
def globals_(cls: type[T], /) -> T:
    """Make a class of annotated fields the global variables of programs, read and written from both sides (Linux 5.5).

    Fields are as in a `@bpf.struct`; what the class assigns is the initial value, anything else starts at zero. In this
    process an attribute can be used while a program that uses it is loaded; a field of up to 8 bytes is read and written whole,
    but `state.n += 1` here is a read and a write.
    """
    scope = sys._getframe(1)
    layout, _ = _layout("globals", cls, scope.f_globals, scope.f_locals)
    return RecordView(Globals(layout), 0, layout)  # type: ignore[return-value]


@dataclass_transform(kw_only_default=True)
def config(cls: type[T], /) -> T:
    """Make a class of annotated fields the settings of programs: assigned before loading, then constant (Linux 5.2).

    Fields are as in a `@bpf.struct`; a field without default must be assigned before a program that uses it is loaded.
    """
    scope = sys._getframe(1)
    layout, required = _layout("config", cls, scope.f_globals, scope.f_locals)
    return RecordView(Config(layout, required), 0, layout)  # type: ignore[return-value]


def _layout(what: str, cls: type, names: dict[str, Any], local: Any) -> tuple[StructType, set[str]]:
    """The class as a record, and its scalar fields without default."""
    if not isinstance(cls, type):
        raise declaring.error(f"@bpf.{what} decorates a class, not {cls!r}")
    if cls.__bases__ != (object,):
        raise declaring.in_class(cls, "", f"a class for @bpf.{what} inherits nothing")
    annotated = cls.__annotations__
    for name, member in vars(cls).items():
        if name not in annotated and not name.startswith("__"):
            hint = "make it a plain function" if callable(member) else f"say how wide it is: `{name}: u32 = ...`"
            raise declaring.in_class(cls, name, f"a class for @bpf.{what} has annotated fields only", hint)
    fields, size, align = lay_out(cls, False, names, local)
    if not fields:
        raise declaring.in_class(cls, "", f"@bpf.{what} needs at least one field, such as `seen: u64 = 0`")
    refuse_kept(cls, fields)
    return StructType(cls.__name__, tuple(fields), size, align, cls), {field.name for field in fields if field.required}


def refuse_kept(cls: type, fields: list[Field]) -> None:
    """Locks and timers live in the values of maps that are looked up."""
    for field in fields:
        if isinstance(field.type, KernelType) or kept_fields(field.type):
            raise declaring.in_class(cls, field.name, "a lock or a timer cannot be here", "keep it in the value of a map")


class DataMap(MapDeclaration):
    """The array map behind such a class."""

    kind = MapType.ARRAY
    flags_of_kind = 0

    def __init__(self, layout: StructType) -> None:
        super().__init__(1, name=layout.name, flags=self.flags_of_kind)
        self.layout = layout
        self.initial = bytearray(layout.size)
        for field in layout.fields:
            value = field.type.zero() if field.default is None else field.default
            put(self.initial, 0, field, value)

    @property
    def value_type(self) -> Type:
        return self.layout

    def describe(self, name: str) -> MapSpec:
        contents = ((KEY32.encode(0), bytes(self.initial)),)
        frozen = bool(self.flags & BPF_F_RDONLY_PROG)
        section = ".rodata" if frozen else ".data" if any(self.initial) else ".bss"
        types = section_types(section, self.layout)
        return MapSpec(name, self.kind, 4, self.layout.size, 1, self.flags, contents, frozen, types)

    def variables(self, name: str) -> dict[str, VariableSpec]:
        """Its fields, as data."""
        return {
            f"{name}.{field.name}": VariableSpec(field.name, name, field.offset, field.type.size)
            for field in self.layout.fields
        }

    def readable(self, what: str) -> bytearray | memoryview:
        """The bytes to read from; `what` is the attribute, for messages."""
        raise NotImplementedError

    def writable(self, what: str) -> bytearray | memoryview:
        """The bytes to write to."""
        raise NotImplementedError

    def assigned(self, what: str) -> None:
        """The attribute has a value now."""


class Globals(DataMap):
    """Its bytes are those of the live map."""

    flags_of_kind = BPF_F_MMAPABLE
    _memory: memoryview | None = None

    def bind(self, live: EngineMap | None, engine: Engine | None) -> None:
        if self._memory is not None:
            self._memory.release()
        self._memory = live.memory() if live is not None else None
        super().bind(live, engine)

    def readable(self, what: str) -> memoryview:
        if self._memory is None:
            raise NotLoaded(f"`{what}` lives in the program: load, run or attach one that uses it first")
        return self._memory

    writable = readable


class Config(DataMap):
    """Its bytes are kept here, and given to the map when it is created."""

    flags_of_kind = BPF_F_RDONLY_PROG

    def __init__(self, layout: StructType, required: set[str]) -> None:
        super().__init__(layout)
        self.unset = required

    def bind(self, live: EngineMap | None, engine: Engine | None) -> None:
        super().bind(live, engine)
        if live is not None and self.unset:
            name = next(field.name for field in self.layout.fields if field.name in self.unset)
            raise Error(
                f"`{self.layout.name}.{name}` has no value: assign it before the program is loaded, or give it a default"
            )

    def readable(self, what: str) -> bytearray:
        if what.removeprefix(f"{self.layout.name}.") in self.unset:
            raise Error(f"`{what}` has no value yet")
        return self.initial

    def writable(self, what: str) -> bytearray:
        if self.bound:
            raise Error(
                f"`{what}` cannot be assigned while a program that uses it is loaded, for which it is a constant: assign it "
                f"before, or close that collection first; `@bpf.globals` is for what changes"
            )
        return self.initial

    def assigned(self, what: str) -> None:
        self.unset.discard(what.removeprefix(f"{self.layout.name}."))


class Backing(Protocol):
    """What holds the bytes behind a view. `what` is the attribute, for messages."""

    @property
    def layout(self) -> StructType | None: ...
    def readable(self, what: str) -> bytearray | memoryview: ...
    def writable(self, what: str) -> bytearray | memoryview: ...
    def assigned(self, what: str) -> None: ...


def put(data: bytearray | memoryview, offset: int, field: Field, value: Any) -> None:
    """Write a field of the record at `offset`. Raises TypeError and ValueError where the value does not fit."""
    start, end = offset + field.offset, offset + field.offset + field.type.size
    if field.bits:
        unit = bytearray(data[start:end])
        encode_bits(unit, replace(field, offset=0), value)
        data[start:end] = unit
    else:
        data[start:end] = field.type.encode(_plain(value))


def _plain(value: Any) -> Any:
    """A value that lies in a program's memory as one of its own."""
    if isinstance(value, RecordView | ArrayView):
        return value.__copy__()
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


class RecordView:
    """A record in the memory of programs: an attribute is read, and written, there. `copy.copy` gives a record of its own."""

    __slots__ = ("__bpf_place__",)
    __bpf_place__: tuple[Backing, int, StructType, str]
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, data: Backing, offset: int, layout: StructType, path: str = "") -> None:
        object.__setattr__(self, "__bpf_place__", (data, offset, layout, path or layout.name))

    def __getattr__(self, name: str) -> Any:
        data, offset, layout, path = self.__bpf_place__
        if layout.field(name) is None and layout is not data.layout and hasattr(layout.record, name):
            return _of_the_class(self, layout, name)
        field = _field(self, name)
        value = value_at(data, offset + field.offset, field.type, f"{path}.{name}")
        return bits_of(value, field) if field.bits else value

    def __setattr__(self, name: str, value: Any) -> None:
        data, offset, _, path = self.__bpf_place__
        field, what = _field(self, name), f"{path}.{name}"
        try:
            put(data.writable(what), offset, field, value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{what}: {error}") from None
        data.assigned(what)

    def __copy__(self) -> Any:
        data, offset, layout, path = self.__bpf_place__
        if layout is data.layout:
            raise Error(f"`{path}` is one of its kind and cannot be copied; read its attributes")
        return layout.decode(bytes(data.readable(path)[offset : offset + layout.size]))

    def __eq__(self, other: object) -> bool:
        layout = self.__bpf_place__[2]
        if self is other or layout is self.__bpf_place__[0].layout:
            return self is other
        return bool(self.__copy__() == _plain(other))

    def __dir__(self) -> list[str]:
        return [field.name for field in self.__bpf_place__[2].fields]

    def __repr__(self) -> str:
        data, _, layout, path = self.__bpf_place__
        if layout is data.layout and isinstance(data, Globals) and not data.bound:
            return f"<bpf.globals {path}, not loaded>"
        shown = (f.name for f in layout.fields if not isinstance(data, Config) or f"{path}.{f.name}" not in _unset(data))
        return f"{layout.name}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


class ArrayView(Sequence[Any]):
    """An array in the memory of programs: an element is read, and written, there. `list(...)` and slices are copies."""

    __slots__ = ("__bpf_place__",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, data: Backing, offset: int, layout: ArrayType, path: str) -> None:
        self.__bpf_place__ = (data, offset, layout, path)

    def __len__(self) -> int:
        return self.__bpf_place__[2].count

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        data, offset, layout, path = self.__bpf_place__
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(layout.count))]
        index = range(layout.count)[at]
        return value_at(data, offset + index * layout.element.size, layout.element, path)

    def __setitem__(self, at: int | slice, value: Any) -> None:
        data, offset, layout, path = self.__bpf_place__
        if isinstance(at, slice):
            places, values = range(*at.indices(layout.count)), list(value)
            if len(places) != len(values):
                raise ValueError(f"{path}: {len(values)} values do not fit {len(places)} places")
            for i, item in zip(places, values, strict=True):
                self[i] = item
            return
        start = offset + range(layout.count)[at] * layout.element.size
        try:
            encoded = layout.element.encode(_plain(value))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{path}[{at}]: {error}") from None
        data.writable(path)[start : start + len(encoded)] = encoded
        data.assigned(path)

    def __copy__(self) -> list[Any]:
        data, offset, layout, path = self.__bpf_place__
        return layout.decode(bytes(data.readable(path)[offset : offset + layout.size]))  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        return bool(self.__copy__() == _plain(other))

    def __repr__(self) -> str:
        return repr(self.__copy__())


def _of_the_class(view: RecordView, layout: StructType, name: str) -> Any:
    """A method that the author wrote, called on the view; anything else of the class, of a copy."""
    raw = vars(layout.record).get(name)
    if isinstance(raw, FunctionType) and raw.__module__ != "purebpf.lang.records":
        return MethodType(raw, view)
    return getattr(view.__copy__(), name)


def _unset(config: Config) -> set[str]:
    return {f"{config.layout.name}.{name}" for name in config.unset}


def _field(view: RecordView, name: str) -> Field:
    layout = view.__bpf_place__[2]
    field = layout.field(name)
    if field is None:
        known = ", ".join(f.name for f in layout.fields)
        raise AttributeError(f"`{view.__bpf_place__[3]}` has no field `{name}`; its fields are {known}")
    return field


def value_at(data: Backing, offset: int, layout: Type, path: str) -> Any:
    """What lies there: a view of records and arrays, a value of anything else."""
    if isinstance(layout, StructType):
        return RecordView(data, offset, layout, path)
    if isinstance(layout, ArrayType):
        return ArrayView(data, offset, layout, path)
    return layout.decode(bytes(data.readable(path)[offset : offset + layout.size]))
