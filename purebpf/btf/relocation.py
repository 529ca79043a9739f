"""CO-RE relocations as data: what an instruction wants to know of the kernel that the program will run on.

Numbers are those of `enum bpf_core_relo_kind` (include/uapi/linux/bpf.h); what they mean is told in `core.py`.
"""

from __future__ import annotations

from enum import IntEnum

from purebpf.data import data

# A typedef of this name is the type of a member of which the program knows nothing else: such a field is the same field
# whatever kind it has in a kernel. Other loaders see what is behind it, an int.
ANYTHING = "purebpf_anything"


class CoreKind(IntEnum):
    """What is asked. Fields by their access, types and enumerators by their names."""

    FIELD_BYTE_OFFSET = 0
    FIELD_BYTE_SIZE = 1
    FIELD_EXISTS = 2
    FIELD_SIGNED = 3
    FIELD_LSHIFT_U64 = 4
    FIELD_RSHIFT_U64 = 5
    TYPE_ID_LOCAL = 6
    TYPE_ID_TARGET = 7
    TYPE_EXISTS = 8
    TYPE_SIZE = 9
    ENUMVAL_EXISTS = 10
    ENUMVAL_VALUE = 11
    TYPE_MATCHES = 12


@data
class CoreRelocation:
    """One question. `slot` is the instruction's place in its program (8-byte slots from the start), `type` the number of the
    root type among the program's own types. `access` is the way from there, as in BTF.ext: "0:2:1" is member 1 of member 2
    (first an array index); for a type "0"; for an enumerator its index."""

    slot: int
    kind: CoreKind
    type: int
    access: str
