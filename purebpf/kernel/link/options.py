"""Options of attaching: checked by name and type, so that a wrong one is a sentence that lists the right ones."""

from __future__ import annotations

from collections.abc import Mapping

from purebpf.errors import Error


class Options:
    """What was given for attaching one kind of program. `known` says what each option means, for the error."""

    def __init__(self, kind: str, given: Mapping[str, object], known: Mapping[str, str]) -> None:
        self.kind = kind
        self._given = {name: value for name, value in given.items() if value is not None}
        self._known = known
        for name in self._given:
            if name not in known:
                raise self.wrong(f"has no option {name!r}")

    def wrong(self, what: str) -> Error:
        listed = "; ".join(f"{name}: {meaning}" for name, meaning in self._known.items()) or "none"
        return Error(f"Attaching a program of kind {self.kind} {what}. Its options are: {listed}.")

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def get(self, name: str) -> object:
        """Any value; None when it was not given."""
        return self._given.get(name)

    def text(self, name: str, default: str = "") -> str:
        value = self._given.get(name, default)
        if not isinstance(value, str):
            raise self.wrong(f"got {name}={value!r}, which is no string")
        return value

    def number(self, name: str, default: int) -> int:
        value = self._given.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(f"got {name}={value!r}, which is no integer")
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str = "") -> str:
        value = self._given.get(name, default)
        if not isinstance(value, str) or value not in choices:
            given = f"got {name}={value!r}" if value else f"needs the option {name!r}"
            raise self.wrong(f"{given}; it is one of {', '.join(map(repr, choices))}")
        return value
