"""What the verifier tracks of a register or a stack slot, as its log prints it (`print_verifier_state`, kernel/bpf/log.c).

Three spellings: `R1_w=inv(id=0,umax_value=255,var_off=(0x0; 0xff))` up to Linux 5.17, `R1_w=scalar(umax=255,...)` after it, and
`R1=scalar(smin=smin32=0,smax=umax=255,...)`, where equal bounds share their number, since 6.8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

START = re.compile(r"(?:(?<=\s)|^)(R\d+|fp-\d+)(?:_[a-zA-Z]+)?=")
FRAME = re.compile(r"frame(\d+):\s")
VALUE = re.compile(r"(?P<precise>P)?(?P<number>-?(?:0x[0-9a-f]+|\d+))$")
POINTER = re.compile(r"fp(?P<offset>-?\d*)$")
SCALARS = ("inv", "scalar", "unknown_value")
LONGEST = 4096  # characters of one register's state that are looked at
WORD = 1 << 64


@dataclass(frozen=True, slots=True)
class State:
    """A register's or a stack slot's state. `kind` is the verifier's name (`scalar`, `pkt`, `map_value_or_null` ...), without a
    prefix such as `rcu_` or `trusted_`, which is in `flags`; `fields` are the texts in brackets (`off`, `r`, `vs`, `map` ...).

    `least` and `most` bound a number, or the variable part of a pointer's offset, as a signed 64-bit number; `bounded` says
    that anything is known about them.
    """

    kind: str
    text: str
    fields: dict[str, str] = field(default_factory=dict)
    least: int = -WORD // 2
    most: int = WORD // 2 - 1
    most_unsigned: int = WORD - 1

    @property
    def number(self) -> bool:
        return self.kind == "scalar"

    @property
    def nullable(self) -> bool:
        return "_or_null" in self.kind

    @property
    def constant(self) -> int | None:
        """The only number it can be."""
        return self.least if self.number and self.least == self.most else None

    @property
    def offset(self) -> int:
        """The constant part of a pointer's offset, bytes."""
        return integer(self.fields.get("off", "0"))

    @property
    def moved(self) -> bool:
        """Whether a pointer has a variable part in its offset."""
        return not self.number and any(name in self.fields for name in MOVES)

    @property
    def tnum(self) -> tuple[int, int] | None:
        """The bits that are known: (their value, a mask of the unknown ones)."""
        found = re.fullmatch(r"\((0x[0-9a-f]+); (0x[0-9a-f]+)\)", self.fields.get("var_off", ""))
        return (int(found[1], 16), int(found[2], 16)) if found else None


MOVES = ("var_off", "umax", "umax_value", "smax", "smax_value", "smin", "smin_value", "umin", "umin_value")


def integer(text: str) -> int:
    """A number as a log has it; 0 for what is none, or too long to be one."""
    try:
        return int(text, 0) if len(text) < 40 else 0
    except ValueError:
        return 0


def signed(value: int, bits: int = 64) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def read_states(text: str) -> dict[str, State]:
    """The registers (`R1`) and stack slots (`fp-8`) in a piece of log, each with its state."""
    found = list(START.finditer(text))
    return {match[1]: read_state(value_at(text, match.end())) for match in found}


def frame_of(text: str) -> int:
    """The call depth that a piece of log tells the states of."""
    found = FRAME.match(text.lstrip())
    return int(found[1][:4]) if found else 0


def value_at(text: str, start: int) -> str:
    """The state that begins at `start`: up to the white space outside brackets."""
    depth, at, end = 0, start, min(len(text), start + LONGEST)
    while at < end:
        if text[at] == "(":
            depth += 1
        elif text[at] == ")":
            depth -= 1
        elif text[at].isspace() and depth <= 0:
            break
        at += 1
    return text[start:at]


def read_state(text: str) -> State:
    """One state, such as `pkt(id=1,off=14,r=14)`, `fp-8`, `P0`, `inv7`, `scalar()`."""
    if pointer := POINTER.match(text):
        return State("fp", text, {"off": pointer["offset"] or "0"})
    name, _, inside = text.partition("(")
    for old in SCALARS:
        if name.startswith(old):
            if rest := name[len(old) :].removeprefix("P"):
                return constant(rest, text)
            name = "scalar"
    if VALUE.match(name):
        return constant(name.removeprefix("P"), text)
    fields = dict(read_fields(inside.removesuffix(")")))
    return bounded(name, text, fields)


def constant(digits: str, text: str) -> State:
    value = signed(integer(digits))
    return State("scalar", text, {}, value, value, value % WORD)


def read_fields(inside: str) -> Iterator[tuple[str, str]]:
    """`off=4,smin=smin32=0,var_off=(0x0; 0xff)` as pairs; names that share a value each get it."""
    for part in re.findall(r"[^,()]+(?:\([^()]*\)?)?", inside):
        *names, value = part.split("=")
        for name in names:
            yield name.strip(), value.strip()


def bounded(kind: str, text: str, fields: dict[str, str]) -> State:
    """The state with the bounds that its fields tell; one that is not printed follows from the others or is the widest."""

    def bound(*names: str) -> int | None:
        return next((integer(fields[name]) for name in names if name in fields), None)

    least, most = bound("smin", "smin_value"), bound("smax", "smax_value")
    low, high = bound("umin", "umin_value"), bound("umax", "umax_value")
    tnum = State(kind, text, fields).tnum
    if high is None:
        high = tnum[0] | tnum[1] if tnum else WORD - 1
    high %= WORD
    if least is None:
        least = low if low is not None and high < WORD // 2 else 0 if high < WORD // 2 else -WORD // 2
    if most is None:
        most = high if high < WORD // 2 else WORD // 2 - 1
    least, most = signed(least), signed(most)
    if low is not None and high < WORD // 2:
        least = max(least, low)
    return State(kind, text, fields, least, most, high)
