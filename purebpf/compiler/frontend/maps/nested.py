"""Maps of maps in a program: `outer.get(k)` is an inner map or None; an inner map is used as any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from purebpf.compiler.frontend.values import Const, Ref
from purebpf.lang.maps import MapDeclaration
from purebpf.lang.maps.nested import InnerMapType, clone

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

REGION = "map"


def reached(cx: Lowering, ref: Ref) -> Const:
    """A reference to an inner map, as the map that it is: the same one for the same pointer."""
    assert isinstance(ref.type, InnerMapType)
    found = cx.unit.reached.get(id(ref.op))
    if found is None:
        made = clone(ref.type.declaration)
        outer = ref.owner
        assert isinstance(outer, MapDeclaration)
        made.reached, made.name = ref.op, f"{outer.name}[...]"
        found = cx.unit.reached[id(ref.op)] = ref.op, made
    return Const(found[1])
