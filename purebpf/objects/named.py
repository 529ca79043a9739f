"""Things by name, as in a dictionary and as attributes: `programs["count"]`, `programs.count`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from purebpf.errors import Error

T = TypeVar("T")


class Unknown(Error, KeyError):
    """There is nothing of a name."""

    __str__ = Exception.__str__


def unknown(kind: str, name: str, known: Mapping[str, object]) -> Unknown:
    """The error that there is nothing of a name."""
    from difflib import get_close_matches

    near = get_close_matches(name, known, 3)
    told = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known) or 'none'}"
    return Unknown(f"There is no {kind} {name!r} here; {told}")


class Named(Mapping[str, T]):
    """Things of one kind by name. Raises Error, with similar names, for a name that nothing has."""

    __slots__ = ("_found", "_kind")

    def __init__(self, kind: str, found: Mapping[str, T]) -> None:
        self._kind, self._found = kind, found

    def __getitem__(self, name: str) -> T:
        try:
            return self._found[name]
        except KeyError:
            raise unknown(self._kind, name, self._found) from None

    def __getattr__(self, name: str) -> T:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._found[name]
        except KeyError:
            raise AttributeError(str(unknown(self._kind, name, self._found))) from None

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._found]

    def __repr__(self) -> str:
        return f"<{self._kind}s {', '.join(self._found)}>"
