"""Things by name: as attributes, by the names Python takes, and in brackets by those they have in the programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from purebpf.objects.named import unknown

T = TypeVar("T")
TYPE_CHECKING = False


class Named(Generic[T]):
    """`what` is what they are, for messages."""

    def __init__(self, what: str, things: dict[str, T], attributes: dict[str, str]) -> None:
        self._what, self._things, self._attributes = what, things, attributes

    if not TYPE_CHECKING:  # a generated stub says which there are

        def __getattr__(self, name: str) -> Any:
            own = vars(self).get("_attributes", {})
            if name in own and own[name] in self._things:
                return self._things[own[name]]
            known = ", ".join(attribute for attribute, thing in own.items() if thing in self._things) or "none"
            raise AttributeError(f"there is no {vars(self).get('_what')} `{name}`; there are: {known}")

    def __getitem__(self, name: str) -> T:
        try:
            return self._things[name]
        except KeyError:
            raise unknown(self._what, name, self._things) from None

    def put(self, name: str, thing: T) -> None:
        """Have one more."""
        self._things[name] = thing

    def drop(self, name: str) -> None:
        del self._things[name]

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        """Their names in the programs."""
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def __dir__(self) -> list[str]:
        return sorted(attribute for attribute, thing in self._attributes.items() if thing in self._things)

    def __repr__(self) -> str:
        return f"<{self._what}s: {', '.join(self._things) or 'none'}>"
