"""Helpers by name, on the virtual machine's: a reference stands for its address, a map for its own, texts and bytes for memory
that holds them while the call lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from purebpf.errors import Unsupported, VmError
from purebpf.lang.sockets import SOCKET
from purebpf.lang.types import BoolType, BytesType, IntType
from purebpf.runner.context import ADDRESS, ProgramContext, socket_at
from purebpf.runner.maps import ProgramMap
from purebpf.runner.views import Block, View, encoded, place_of, view
from purebpf.tables.helpers import Arg, ArgKind, Helper, ResultKind, helper
from purebpf.vm.helpers import functions
from purebpf.vm.memory import OFFSET_MASK, SHIFT, Fault

if TYPE_CHECKING:
    from purebpf.runner.session import Runner

MASK = (1 << 64) - 1
NUMBERS = (ArgKind.SCALAR, ArgKind.SIZE, ArgKind.ADDRESS)


def call(runner: Runner, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """The result as a program sees it. Raises Unsupported for a helper that is not here, VmError for what it refuses."""
    found = helper(name)
    implementation = functions().get(found.id) if found is not None else None
    if found is None or implementation is None:
        if name == "tail_call":
            return arguments[1].tail_call(arguments[0], arguments[2])
        raise Unsupported(f"bpf_{name}: the virtual machine, on which Python runs programs, does not have this helper.")
    given = _matched(found, arguments, keywords)
    declared = next((value for value in given.values() if isinstance(value, ProgramMap)), None)
    sizes: dict[int, int] = {}
    registers: list[int] = []
    for index, argument in enumerate(found.args):
        if index not in given:
            registers.append(sizes.get(argument.pair if argument.pair is not None else -1, 0))
            continue
        registers.append(_register(runner, argument, given[index], declared, sizes, index) & MASK)
    try:
        result = implementation(runner.machine, *registers)
    except Fault as fault:
        raise VmError(f"bpf_{name} {fault}.") from None
    return _result(runner, found, result, declared)


def _matched(found: Helper, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> dict[int, Any]:
    """Arguments by index; sizes that belong to a buffer may be left out."""
    named = {i: keywords[a.name] for i, a in enumerate(found.args) if a.name in keywords}
    full = list(range(len(found.args)))
    short = [i for i in full if found.args[i].kind != ArgKind.SIZE or found.args[i].pair is None]
    for order in (full, short):
        free = [i for i in order if i not in named]
        if len(free) == len(arguments):
            return {**dict(zip(free, arguments, strict=True)), **named}
    raise TypeError(f"helper `{found.name}` takes {len(short)} arguments, not {len(arguments) + len(named)}")


def _register(runner: Runner, argument: Arg, value: Any, declared: ProgramMap | None, sizes: dict[int, int], index: int) -> int:
    if isinstance(value, ProgramMap):
        return value.live.address
    if isinstance(value, ProgramContext):
        return ADDRESS
    if argument.kind in NUMBERS:
        return int(value)
    if argument.kind in (ArgKind.MAP_KEY, ArgKind.MAP_VALUE) and declared is not None:
        layout = declared.key_type if argument.kind == ArgKind.MAP_KEY else declared.value_type
        return runner.placed(encoded(layout, value))
    if value is None or (value == 0 and not isinstance(value, View) and argument.nullable):
        sizes[index] = 0
        return 0
    if isinstance(value, str):
        value = value.encode() + b"\0"
    if isinstance(value, int):
        bits = 32 if -(1 << 31) <= value < 1 << 32 else 64
        value = encoded(IntType(bits, value < 0), value)
    if isinstance(value, View):
        sizes[index] = place_of(value)[2].size
        return runner.address(value)
    sizes[index] = len(value)
    return runner.placed(bytes(value))


def _result(runner: Runner, found: Helper, result: int, declared: ProgramMap | None) -> Any:
    kind = found.result
    if kind.kind == ResultKind.SCALAR:
        result &= MASK
        if kind.signed:
            return runner.signed(result)
        return result & 0xFFFF_FFFF if kind.width == 32 else result
    if kind.kind == ResultKind.SOCKET:
        return socket_at(runner, result, SOCKET)
    if kind.kind == ResultKind.MAP_VALUE and declared is not None:
        if not result:
            return None
        layout = declared.value_type
        layout = BytesType(layout.size) if isinstance(layout, IntType | BoolType) else layout
        data = runner.machine.memory.readable[result >> SHIFT]
        return view(Block(data, runner.function, result & ~OFFSET_MASK), result & OFFSET_MASK, layout)
    return None
