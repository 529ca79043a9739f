"""Parameters of functions of processes: by names and types of the file's debugging information, or `arg0` to `arg5` and `ret`.

They are in the registers of the calling convention (System V AMD64; AAPCS64), integers and pointers in one row, floating-point
numbers in another that probes cannot read. Behind a struct that is passed by value nothing is certain any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from purebpf.binaries.dwarf import CType, Prototype, prototype
from purebpf.binaries.files import find_binary, symbol_address
from purebpf.data import data

if TYPE_CHECKING:
    from purebpf.lang.program_types import ProgramKind

HAS_REGISTER = frozenset({"int", "bool", "pointer"})


@data
class UserSlot:
    """Where an argument is in `struct pt_regs` (bytes), and its C type; None for one of which nothing is known."""

    offset: int
    type: CType | None = None


@data
class Found:
    """The parameters that a program may take, and why others cannot be read. `described`: whether their names are known."""

    slots: dict[str, UserSlot]
    unreadable: dict[str, str]
    described: bool


def find(kind: ProgramKind, hook: str, registers: tuple[int, ...], result: int) -> Found:
    """For a program on a function of a process. Raises Error for a file or symbol that is not there."""
    positional = {f"arg{number}": UserSlot(offset) for number, offset in enumerate(registers)}
    binary, _, symbol = hook.rpartition(":")
    plain = kind.attach is None and not symbol[:1].isdigit()
    path = find_binary(binary)
    known: Prototype | None = None
    if plain:
        address = symbol_address(path, symbol.partition("+")[0])
        known = prototype(path, address) if "+" not in symbol else None
    if kind.decorator == "uretprobe":
        unreadable = _unreadable_result(known)
        return Found({} if unreadable else {"ret": UserSlot(result, _scalar(known))}, unreadable, known is not None)
    if kind.decorator == "uprobe_session":
        positional["ret"] = UserSlot(result)
    if known is None:
        return Found(positional, {}, False)
    named, unreadable = _named(known, registers)
    return Found(named | positional, unreadable, True)


def _scalar(known: Prototype | None) -> CType | None:
    return known.result if known is not None and known.result.kind in HAS_REGISTER else None


def _unreadable_result(known: Prototype | None) -> dict[str, str]:
    if known is None or known.result.kind in HAS_REGISTER:
        return {}
    if known.result.kind == "void":
        return {"ret": "the function returns nothing"}
    return {"ret": f"the function returns {_article(known.result)}, which is in no register that a probe sees"}


def _named(known: Prototype, registers: tuple[int, ...]) -> tuple[dict[str, UserSlot], dict[str, str]]:
    slots: dict[str, UserSlot] = {}
    unreadable: dict[str, str] = {}
    free = list(registers)
    lost = ""
    for name, type in known.parameters:
        if type.kind == "float":
            unreadable[name] = f"it is {_article(type)}, in a register that a probe does not see"
        elif lost or not free:
            unreadable[name] = lost or f"it is on the stack: {len(registers)} are in registers"
        elif type.kind in HAS_REGISTER and type.size <= 8:
            slots[name] = UserSlot(free.pop(0), type)
        else:
            lost = f"it is behind `{name}`, a struct that is passed by value"
            unreadable[name] = f"it is {_article(type)}, passed by value"
    slots.pop("", None)
    return slots, unreadable


def _article(type: CType) -> str:
    return f"a `{type.name}`" if type.name else f"a {type.kind}"
