"""Maps in a program: `get`, `m[k]`, `in`, `del`, `m[k] += n`, `set`, `delete`, `redirect`, `tail_call`, `output`."""

from purebpf.compiler.frontend.maps.entries import (
    ARRAY_ENTRY,
    ARRAYS,
    HASH_ENTRY,
    arguments,
    changed,
    if_there,
    key_pointer,
    keyed,
    learn_presence,
    lookup,
    value_ref,
)
from purebpf.compiler.frontend.maps.methods import method
from purebpf.compiler.frontend.maps.reading import contains, entry, get, item
from purebpf.compiler.frontend.maps.writing import assign, augment, delete_item

__all__ = [
    "ARRAYS",
    "ARRAY_ENTRY",
    "HASH_ENTRY",
    "arguments",
    "assign",
    "augment",
    "changed",
    "contains",
    "delete_item",
    "entry",
    "get",
    "if_there",
    "item",
    "key_pointer",
    "keyed",
    "learn_presence",
    "lookup",
    "method",
    "value_ref",
]
