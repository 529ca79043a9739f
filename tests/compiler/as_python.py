"""A program run as Python must do what its bytecode does on the virtual machine: result, packet, printed lines, maps."""

from __future__ import annotations

from purebpf.collection import Collection
from purebpf.engine import RunResult
from purebpf.program import Program

State = tuple[int, bytes, tuple[str, ...], dict[str, dict[bytes, bytes | None]]]


def contents(collection: Collection) -> dict[str, dict[bytes, bytes | None]]:
    """What is in the maps that can be walked, by name."""
    found: dict[str, dict[bytes, bytes | None]] = {}
    for declaration in collection.declarations:
        name = declaration.live.spec.name
        if declaration.live.spec.key_size:
            entries, key = found.setdefault(name, {}), declaration.live.next_key(None)
            while key is not None:
                entries[key], key = declaration.live.lookup(key), declaration.live.next_key(key)
    return found


def state(result: RunResult, collection: Collection) -> State:
    return result.value, result.data, result.printed, contents(collection)


def both(program: Program, packet: bytes) -> tuple[State, State]:
    """What a run in the virtual machine and one as Python leave, each on fresh maps."""
    with program.load("vm") as collection:
        bytecode = state(program.run(packet=packet), collection)
    try:
        result = program.python(packet=packet)
        assert program.collection is not None
        return bytecode, state(result, program.collection)
    finally:
        program.close()
