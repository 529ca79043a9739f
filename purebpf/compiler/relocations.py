"""The BTF types that a program refers to: those of its functions, and those of its CO-RE relocations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.btf.running import kernel_btf
from purebpf.btf.trim import MISSING, Trimmer
from purebpf.btf.types import Type
from purebpf.compiler.frontend.lower import Unit
from purebpf.compiler.function_types import function_types
from purebpf.compiler.target.layout import Emitted
from purebpf.lang.btf_types import Collector
from purebpf.spec import FunctionSpec

ENUMERATORS = (CoreKind.ENUMVAL_EXISTS, CoreKind.ENUMVAL_VALUE)
FIELDS = range(CoreKind.FIELD_BYTE_OFFSET, CoreKind.FIELD_RSHIFT_U64 + 1)


def types_and_relocations(
    unit: Unit, emitted: Iterable[Emitted], starts: Mapping[str, int]
) -> tuple[tuple[FunctionSpec, ...], tuple[Type, ...], tuple[CoreRelocation, ...]]:
    """The functions with the numbers of their types, all types that the program refers to, and its relocations."""
    collected = Collector()
    plain = (FunctionSpec(function.name, starts[function.name]) for function in emitted)
    functions = function_types(plain, unit.global_, unit.kind.type, collected)
    asked: tuple[CoreRelocation, ...] = ()
    if any(function.cores for function in emitted):
        btf = unit.declared.btf if unit.declared is not None else unit.btf or kernel_btf()
        asked = relocations(emitted, starts, Trimmer(btf, collected.add))
    return functions, tuple(collected.types), asked


def relocations(emitted: Iterable[Emitted], starts: Mapping[str, int], trimmer: Trimmer) -> tuple[CoreRelocation, ...]:
    """Those of all functions, which start at these slots."""
    asked = [(starts[function.name] + slot, core) for function in emitted for slot, core in function.cores]
    for _, core in asked:
        if core.kind in FIELDS:
            trimmer.note(core.root, core.access.split(":"))
        elif core.kind in ENUMERATORS:
            trimmer.note_enumerator(core.root, core.access)
    made = []
    for slot, core in asked:
        access, root = core.access, trimmer.root(core.root) if core.root else 0
        if core.kind in FIELDS:
            access = trimmer.access(core.root, access.split(":"))
        elif core.kind in ENUMERATORS:
            access = trimmer.enumerator(core.root, access)
        elif not core.root:
            access, root = "0", trimmer.unknown(access.removeprefix(MISSING))
        made.append(CoreRelocation(slot, CoreKind(core.kind), root, access))
    return tuple(made)
