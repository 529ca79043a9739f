"""Classes that only hold data, made quickly.

`@data` is `@dataclass(frozen=True, slots=True)` with less done when a module is imported: one generated function instead of
six. The compiler and its neighbours have some eighty such classes; making them with the standard library took a third of the
time that `purebpf build` needs for hello world. Immutability is left to the type checker.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar, dataclass_transform, overload

    T = TypeVar("T")

_NOTHING: Any = object()


class _Factory:
    """A default that is made anew for each object."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


class _Uncompared:
    """A default of a field that equality and hash leave out."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


def uncompared(default: T) -> T:
    """A field's default, of a field that says nothing about whether two objects are equal."""
    return _Uncompared(default)  # type: ignore[return-value]


def made(make: Callable[[], T]) -> T:
    """A field's default that is made anew for each object: `names: list[str] = made(list)`."""
    return _Factory(make)  # type: ignore[return-value]


if TYPE_CHECKING:

    @overload
    @dataclass_transform(eq_default=True, frozen_default=True)
    def data(cls: type[T], /) -> type[T]: ...
    @overload
    @dataclass_transform(eq_default=True, frozen_default=True)
    def data(*, frozen: bool = True, eq: bool = True) -> Callable[[type[T]], type[T]]: ...
    def data(cls: type[T] | None = None, /, *, frozen: bool = True, eq: bool = True) -> Any: ...

else:

    def data(cls=None, /, *, frozen=True, eq=True):
        """The class with `__init__`, `__slots__`, `__match_args__` and `__repr__` for its annotated fields; with `eq` also
        equality by value, and a hash if it is `frozen`, which the type checker watches over. `__post_init__` is called when
        there is one."""
        if cls is None:
            return lambda decorated: _made(decorated, frozen, eq)
        return _made(cls, frozen, eq)


def _made(cls: type[Any], frozen: bool, eq: bool) -> type[Any]:
    own = {name: cls.__dict__.get(name, _NOTHING) for name in cls.__dict__.get("__annotations__", {})}  # noqa: RUF063
    defaults: dict[str, Any] = dict(getattr(cls, "__defaults_of_fields__", {})) | own
    names = tuple(defaults)
    compared = tuple(name for name in names if not isinstance(defaults[name], _Uncompared))
    space = {key: value for key, value in cls.__dict__.items() if key not in own and key not in ("__dict__", "__weakref__")}
    space |= {
        "__slots__": tuple(own),
        "__defaults_of_fields__": defaults,
        "__match_args__": names,
        "__init__": _init(defaults, hasattr(cls, "__post_init__")),
        "__repr__": space.get("__repr__", _repr),
    }
    if eq and "__eq__" not in space:
        values = attrgetter(*compared) if compared else _no_values
        space |= {"__eq__": _equality(values), "__hash__": _hash(values) if frozen else None}
    metaclass: Any = type(cls)
    new: type[Any] = metaclass(cls.__name__, cls.__bases__, space)
    new.__qualname__ = cls.__qualname__
    return new


def _no_values(value: object) -> object:
    return ()


def _init(defaults: dict[str, Any], post: bool) -> Callable[..., None]:
    """The one function that is generated: all others work for any class."""
    space: dict[str, Any] = {"nothing": _NOTHING}
    parameters, lines = ["self"], []
    for name, default in defaults.items():
        if default is _NOTHING:
            parameters.append(name)
            lines.append(f" self.{name}={name}")
        elif isinstance(default, _Factory):
            space[f"_{name}"] = default.make
            parameters.append(f"{name}=nothing")
            lines.append(f" self.{name}=_{name}() if {name} is nothing else {name}")
        else:
            space[f"_{name}"] = default.value if isinstance(default, _Uncompared) else default
            parameters.append(f"{name}=_{name}")
            lines.append(f" self.{name}={name}")
    if post:
        lines.append(" self.__post_init__()")
    exec(f"def __init__({','.join(parameters)}):\n" + ("\n".join(lines) or " pass"), space)
    init: Callable[..., None] = space["__init__"]
    return init


def _equality(values: Callable[[Any], object]) -> Callable[[Any, object], bool]:
    def __eq__(self: Any, other: object) -> bool:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _hash(values: Callable[[Any], object]) -> Callable[[Any], int]:
    def __hash__(self: Any) -> int:
        return hash(values(self))

    return __hash__


@recursive_repr()
def _repr(self: Any) -> str:
    return f"{self.__class__.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__match_args__)})"


def shortly(self: Any) -> str:
    """A `__repr__` for data that may hold much: the fields that are not as by default, what is long in them cut."""
    from reprlib import Repr

    cut = Repr()
    cut.maxother = cut.maxstring = 60
    told = []
    for name, default in self.__defaults_of_fields__.items():
        value = getattr(self, name)
        if isinstance(default, _Factory | _Uncompared) or value != default:
            told.append(f"{name}={value!r}" if hasattr(value, "__defaults_of_fields__") else f"{name}={cut.repr(value)}")
    return f"{self.__class__.__qualname__}({', '.join(told)})"


def replace(value: T, /, **changes: Any) -> T:
    """The same data but for the fields given."""
    if not hasattr(value, "__defaults_of_fields__"):
        from dataclasses import replace as of_dataclass

        return of_dataclass(value, **changes)  # type: ignore[type-var]
    names: tuple[str, ...] = value.__match_args__  # type: ignore[attr-defined]
    return value.__class__(**({name: getattr(value, name) for name in names} | changes))
