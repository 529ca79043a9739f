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
                raise self.wrong(f"has no option {name!r}{_near(name, tuple(known))}")

    def wrong(self, what: str) -> Error:
        """The error that lists all options, a line each."""
        listed = "".join(f"\n  {name}: {meaning}" for name, meaning in self._known.items()) or " none."
        return Error(f"Attaching a program of kind {self.kind} {what}. Its options are:{listed}")

    def _unfit(self, name: str, value: object, why: str) -> Error:
        """The error for a value of one option, with what that option means."""
        return Error(f"Attaching a program of kind {self.kind} got {name}={value!r}, {why}. `{name}` is: {self._known[name]}.")

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def get(self, name: str) -> object:
        """Any value; None when it was not given."""
        return self._given.get(name)

    def text(self, name: str, default: str = "") -> str:
        value = self._given.get(name, default)
        if not isinstance(value, str):
            raise self._unfit(name, value, "which is no string")
        return value

    def number(self, name: str, default: int) -> int:
        value = self._given.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._unfit(name, value, "which is no integer")
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str = "") -> str:
        value = self._given.get(name, default)
        if not isinstance(value, str) or value not in choices:
            one_of = f"it is one of {', '.join(map(repr, choices))}"
            if not value:
                raise self.wrong(f"needs the option {name!r}; {one_of}")
            near = _near(value, choices) if isinstance(value, str) else ""
            raise Error(f"Attaching a program of kind {self.kind} got {name}={value!r}{near}; {one_of}.")
        return value


def _near(given: str, known: tuple[str, ...]) -> str:
    """The known name that was probably meant, to stand in a sentence; "" if none is like it."""
    from difflib import get_close_matches

    return "".join(f" (did you mean {other!r}?)" for other in get_close_matches(given, known, 1))
