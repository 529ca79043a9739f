"""What a program is made of: its text, and everything outside of it that the compiler may have looked at.

The walk starts at the function and follows each word of its source that names something in the closure or the module: values by
value, functions by their file and what they name in turn, classes, records and maps by their layout, modules and other objects
by those of their attributes that the words name. That is more than the compiler looks at, never less. Two walks that give the
same data mean the same program. What cannot be told apart for certain is `Incomparable`.
"""

from __future__ import annotations

import os
import sys
from types import BuiltinFunctionType, FunctionType, GenericAlias, MethodType, ModuleType, SimpleNamespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from purebpf.lang.maps import MapDeclaration

Text = tuple[int, int, tuple[str, ...]]
"""When a function's file was changed (nanoseconds), its size (bytes), and the words of the function's source."""
Words = dict[tuple[str, str, int], Text]
"""The text of each function, by file, name and first line."""

PLAIN = (int, str, bytes, bool, float, type(None), type(...))
MOST = 5000  # things to look at: beyond that compiling is quicker


class Incomparable(Exception):
    """Nobody can say whether something outside is still what it was."""


def made_of(
    function: FunctionType, words: Words, learn: Callable[[FunctionType], Text] | None
) -> tuple[object, list[MapDeclaration]]:
    """What the function is made of, as plain data, and its maps in the order of the walk. `learn` finds the text of a function
    that `words` does not have; without it such a function is Incomparable."""
    walk = _Walk(words, learn)
    return walk.function(function), walk.maps


class _Walk:
    def __init__(self, words: Words, learn: Callable[[FunctionType], Text] | None) -> None:
        self.words = words
        self.learn = learn
        self.maps: list[MapDeclaration] = []
        self.seen: dict[tuple[int, int], int] = {}
        self.alive: list[object] = []  # so that no id is used twice

    def function(self, function: FunctionType) -> object:
        code = function.__code__
        changed, size, words = self.text(function)
        cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        found = []
        for word in words:
            if word in cells:
                try:
                    found.append((word, self.value(cells[word].cell_contents, words)))
                except ValueError:  # it has no value yet
                    continue
            elif word in function.__globals__:
                found.append((word, self.value(function.__globals__[word], words)))
        defaults = self.value(function.__defaults__, words), self.value(function.__kwdefaults__, words)
        return "function", function.__module__, function.__qualname__, code.co_firstlineno, changed, size, found, defaults

    def text(self, function: FunctionType) -> Text:
        """The function's text, if its file is still as it was."""
        code = function.__code__
        try:
            status = os.stat(code.co_filename)
        except OSError:
            raise Incomparable(code.co_filename) from None
        spot = code.co_filename, code.co_name, code.co_firstlineno
        now = status.st_mtime_ns, status.st_size
        if self.words.get(spot, ())[:2] != now:
            if self.learn is None:
                raise Incomparable(code.co_filename)
            self.words[spot] = self.learn(function)
            if self.words[spot][:2] != now:
                raise Incomparable(code.co_filename)
        return self.words[spot]

    def value(self, value: Any, words: tuple[str, ...]) -> object:
        kind = type(value)
        if kind in PLAIN:
            return kind.__name__, value
        if kind is tuple:
            return "tuple", [self.value(item, words) for item in value]
        once = (id(value), id(words))
        if once in self.seen:
            return "again", self.seen[once]
        self.seen[once] = len(self.seen)
        self.alive.append(value)
        if len(self.seen) > MOST:
            raise Incomparable("too much")
        if kind is list:
            return "list", [self.value(item, words) for item in value]
        if kind is dict:
            return "dict", [(self.value(key, words), self.value(item, words)) for key, item in value.items()]
        if kind in (set, frozenset):
            return kind.__name__, sorted((self.value(item, words) for item in value), key=repr)
        if kind is FunctionType:
            return _name(value) if _fixed(value) else self.function(value)
        if kind is BuiltinFunctionType:
            return _name(value)
        if kind is MethodType:
            return "method", self.value(value.__func__, words), self.value(value.__self__, words)
        if kind in (staticmethod, classmethod):
            return kind.__name__, self.value(value.__func__, words)
        if kind is ModuleType:
            return "module", value.__name__, [] if _ours(value.__name__) else self.named(vars(value), words)
        if isinstance(value, type):
            return self.of_class(value, words)
        return self.of_object(value, words)

    def named(self, attributes: Mapping[str, Any], words: tuple[str, ...]) -> object:
        return [(word, self.value(attributes[word], words)) for word in words if word in attributes]

    def of_class(self, value: type, words: tuple[str, ...]) -> object:
        if hasattr(value, "__bpf_fields__"):
            from purebpf.lang.kernel_structs import described

            return "kernel", _name(value), described(value)  # type: ignore[arg-type]
        if _fixed(value):
            return _name(value)
        bases = [self.value(base, words) for base in value.__bases__]
        members = getattr(value, "__members__", {})
        values = [(name, self.value(member.value, words)) for name, member in members.items()]
        layout = value.__dict__.get("__bpf_type__")
        told = {*members, *(field.name for field in getattr(layout, "fields", ()))}
        own = {name: item for name, item in vars(value).items() if name not in told}
        methods = [(name, self.value(item, words)) for name, item in own.items() if type(item) is FunctionType]
        return "class", _name(value), bases, values, self.layout(layout, words), methods, self.named(own, words)

    def layout(self, layout: Any, words: tuple[str, ...]) -> object:
        """A type of the language, whole."""
        if isinstance(layout, type):
            return self.value(layout, words)
        if isinstance(layout, tuple):
            return [self.layout(item, words) for item in layout]
        if not _ours(type(layout).__module__):
            return self.value(layout, words)
        return type(layout).__name__, [self.layout(getattr(layout, name), words) for name in layout.__match_args__]

    def of_object(self, value: Any, words: tuple[str, ...]) -> object:
        kind = type(value)
        if hasattr(kind, "__members__"):
            return "member", self.value(kind, words), value.name
        if hasattr(kind, "__bpf_program__"):
            return "program", value.kind.decorator, value.name
        if "__bpf_type__" in vars(kind) and hasattr(kind, "to_bytes"):
            return "record", self.value(kind, words), _bytes_of(value)
        if isinstance(value, GenericAlias) or (kind.__module__ == "typing" and hasattr(value, "__args__")):
            return "alias", self.value(value.__origin__, words), [self.value(item, words) for item in value.__args__]
        if _ours(kind.__module__):
            return self.of_ours(value, words)
        state = getattr(value, "__dict__", None)
        if state is None or not _open(kind):
            raise Incomparable(kind.__qualname__)
        return "object", self.value(kind, words), self.named(state, words)

    def of_ours(self, value: Any, words: tuple[str, ...]) -> object:
        """An object that purebpf made for the author."""
        kind = type(value)
        if hasattr(kind, "describe"):
            self.maps.append(value)
            if hasattr(value, "inner"):  # it holds maps as this one
                inner = self.value(value.inner, words), self.layout(value.key_type, words)
                return "map", kind.__name__, value.max_entries, value.flags, inner
            types = [self.layout(type, words) for type in (value.key_type, value.value_type)]
            return "map", kind.__name__, value.max_entries, value.flags, types
        if hasattr(kind, "__bpf_place__"):
            data, offset, layout, path = value.__bpf_place__
            return "place", self.value(data, words), offset, self.layout(layout, words), path
        if hasattr(value, "__bpf_type__"):
            return "type", self.layout(value.__bpf_type__, words), getattr(value, "bits", 0)
        if getattr(value, "__dict__", None) or getattr(kind, "__slots__", ()):
            raise Incomparable(kind.__qualname__)
        return "one of", _name(kind)


def _ours(module: str) -> bool:
    return module.partition(".")[0] == "purebpf"


def _bytes_of(record: Any) -> bytes:
    """The values of an object of a record's class, as it lies in memory."""
    try:
        data: bytes = record.to_bytes()
    except Exception:  # a value that does not fit its field is an error when it is used, with the place
        raise Incomparable(type(record).__qualname__) from None
    return data


def _fixed(value: Any) -> bool:
    """Whether it belongs to purebpf or to Python itself, whose versions are compared as a whole."""
    module = str(value.__module__)
    return _ours(module) or (module.partition(".")[0] in sys.stdlib_module_names and module != "__main__")


def _open(kind: type) -> bool:
    """Whether objects of the class keep all they know in their `__dict__`: those made in C, or made of such, may not."""
    plain = all(base is object or base is SimpleNamespace or not _fixed(base) for base in kind.__mro__)
    hidden = kind.__basicsize__ > object.__basicsize__ + 16 or hasattr(kind, "__slots__") or hasattr(kind, "__getattr__")
    return plain and not hidden


def _name(value: Any) -> object:
    return "named", value.__module__, value.__qualname__
