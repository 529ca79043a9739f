"""The CO-RE relocations of a program, with the types they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.btf.trim import MISSING, Trimmer
from purebpf.compiler.target.layout import Emitted

ENUMERATORS = (CoreKind.ENUMVAL_EXISTS, CoreKind.ENUMVAL_VALUE)
FIELDS = range(CoreKind.FIELD_BYTE_OFFSET, CoreKind.FIELD_RSHIFT_U64 + 1)


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
