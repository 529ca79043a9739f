"""The CO-RE relocations of a program, with the types they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from purebpf.btf.relocation import CoreKind, CoreRelocation
from purebpf.btf.trim import Trimmer
from purebpf.compiler.target.layout import Emitted

ENUMERATORS = (CoreKind.ENUMVAL_EXISTS, CoreKind.ENUMVAL_VALUE)
FIELDS = range(CoreKind.FIELD_BYTE_OFFSET, CoreKind.FIELD_RSHIFT_U64 + 1)


def relocations(emitted: Iterable[Emitted], starts: Mapping[str, int], trimmer: Trimmer) -> tuple[CoreRelocation, ...]:
    """Those of all functions, which start at these slots."""
    asked = [(starts[function.name] + slot, core) for function in emitted for slot, core in function.cores]
    for _, core in asked:
        if core.kind in FIELDS:
            trimmer.note(core.root, tuple(map(int, core.access.split(":"))))
        elif core.kind in ENUMERATORS:
            trimmer.note_enumerator(core.root, int(core.access))
    made = []
    for slot, core in asked:
        access = core.access
        if core.kind in FIELDS:
            access = trimmer.access(core.root, tuple(map(int, access.split(":"))))
        elif core.kind in ENUMERATORS:
            access = trimmer.enumerator(core.root, int(access))
        made.append(CoreRelocation(slot, CoreKind(core.kind), trimmer.root(core.root), access))
    return tuple(made)
