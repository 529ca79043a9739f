"""How BTF is laid out in bytes (Documentation/bpf/btf.rst, include/uapi/linux/btf.h): facts that reader and writer share.

A type is a run of 32-bit words: the name's offset in the string section, the info word (kind, number of members, a flag), a
size or type number, and what follows for its kind.
"""

from __future__ import annotations

from purebpf.btf.types import Kind

MAGIC, VERSION, HEADER = 0xEB9F, 1, 24
KINDS = len(Kind)
MOST_MEMBERS = 0xFFFF
FLAG = 1 << 31
INFO_MASK = FLAG | 0x1F00FFFF  # the rest of an info word is zero

# How many words a type of each kind takes: fixed, and for each of its members.
FIXED_WORDS = (3, 4, 3, 6, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 3, 3, 4, 3, 3)
MEMBER_WORDS = (0, 0, 0, 0, 3, 3, 2, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 3)

SIGNED, CHAR, BOOL = 1, 2, 4  # encoding of an integer

NAMELESS = frozenset({Kind.PTR, Kind.ARRAY, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.FUNC_PROTO})
FLAGGED = frozenset({Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FWD, Kind.DECL_TAG, Kind.TYPE_TAG})
COUNTED = frozenset({Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FUNC, Kind.FUNC_PROTO, Kind.DATASEC})
