"""What `load` is given by users, checked: maps and programs of whatever kind as the engine has them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, cast

from purebpf.engine import EngineMap, EngineProgram
from purebpf.errors import Error


def check_options(options: Mapping[str, object]) -> None:
    """Raise Error for an option of the wrong shape."""
    for name, example in (
        ("maps", '{"sizes": other.maps.sizes}'),
        ("variables", '{"limit": 3}'),
        ("targets", '{"mine": main}'),
    ):
        if options.get(name) is not None and not isinstance(options[name], Mapping):
            raise Error(f"`{name}` is a dictionary by name, {name}={example}, not {options[name]!r:.60}")
    programs = options.get("programs")
    if programs is not None and not isinstance(programs, Iterable):
        raise Error(f'`programs` is a list of names, programs=["measure"], not {programs!r:.60}')
    if not isinstance(options.get("pin_path"), str | os.PathLike | None):
        raise Error(f'`pin_path` is a folder, pin_path="/sys/fs/bpf/mine", not {options["pin_path"]!r:.60}')
    btf = options.get("btf")
    if isinstance(btf, str | os.PathLike) and not os.path.exists(btf):
        raise Error(f"{os.fspath(btf)!r}, the file with the kernel's types (`btf`), is not there")


def engine_map(name: str, given: Any) -> EngineMap | str | int:
    """A map that is to stand for `name`: the path of a pin or an id as it is, a map of a loaded object, a package or a Python
    program as its engine has it. Raises Error, and NotLoaded for a map that is not loaded."""
    if isinstance(given, str | int) and not isinstance(given, bool):
        return given
    if isinstance(given, os.PathLike):
        return cast("str", os.fspath(given))
    found = getattr(given, "raw", None) or getattr(given, "live", None) or given
    if not hasattr(found, "spec") or not hasattr(found, "lookup"):
        raise Error(f"{given!r:.60} is no map that could be {name!r}: give a loaded map, the path of a pin, or an id")
    return cast("EngineMap", found)


def engine_program(name: str, given: Any) -> EngineProgram:
    """The same for a program of which `name` replaces or traces a function."""
    found = getattr(given, "raw", None) or getattr(given, "loaded", None) or given
    if not hasattr(found, "spec") or not hasattr(found, "handle"):
        raise Error(f"{given!r:.60} is no program that could be the target of {name!r}: give one that is loaded")
    return cast("EngineProgram", found)
