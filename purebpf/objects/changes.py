"""A collection's spec with something else in it, before it is loaded: values of variables, pins in another folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from purebpf.data import replace
from purebpf.errors import Error
from purebpf.live import KCONFIG
from purebpf.objects.maps import Codec
from purebpf.objects.named import unknown
from purebpf.spec import CollectionSpec, MapSpec
from purebpf.tables.enums import MapType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.reader import Btf
    from purebpf.isa.codec import ByteOrder

KEY = bytes(4)


def order_of(spec: CollectionSpec) -> ByteOrder:
    return ("little" if spec.byte_order == "little" else "big") if spec.byte_order else sys.byteorder


def types_of(spec: CollectionSpec) -> Btf | None:
    """The types of a collection's variables; None where it has none."""
    if not spec.types:
        return None
    from purebpf.btf.builder import encoded  # here, since packages made of Python programs have no types
    from purebpf.btf.reader import Btf

    return Btf(encoded(spec.types, order_of(spec)), origin=f"the types of {spec.name or 'the object'}")


def own_types(map: MapSpec) -> Btf | None:
    """The types of a map that came without an object."""
    if map.types is None:
        return None
    from purebpf.btf.reader import Btf

    return Btf(map.types.btf, origin=f"the types of the map {map.name!r}")


def with_variables(spec: CollectionSpec, values: Mapping[str, object]) -> CollectionSpec:
    """The collection with other initial values, as Python data: `{"limit": 3, "name": "eth0"}`. Constants, too, can be set.

    Raises Error for a variable that is not there, and for a value that its type cannot hold.
    """
    if not values:
        return spec
    btf, maps = types_of(spec), dict(spec.maps)
    for name, value in values.items():
        if name not in spec.variables:
            raise unknown("variable", name, spec.variables)
        variable = spec.variables[name]
        if variable.map == KCONFIG:
            raise Error(f"The variable {name!r} is a setting of the kernel: the kernel's own value stands there.")
        try:
            raw = Codec(btf, variable.type, variable.size, order_of(spec)).encode(value)
        except Error as error:
            raise Error(f"The variable {name!r}: {error}") from None
        maps[variable.map] = _written(maps[variable.map], variable.offset, raw)
    return replace(spec, maps=maps)


def _written(map: MapSpec, offset: int, raw: bytes) -> MapSpec:
    """The map of a data section with other bytes in its value."""
    key = b"" if map.type is MapType.ARENA else KEY
    present = map.contents[0][1] if map.contents else b""
    whole = bytearray(present.ljust(max(offset + len(raw), 0 if map.type is MapType.ARENA else map.value_size), b"\0"))
    whole[offset : offset + len(raw)] = raw
    return replace(map, contents=((key, bytes(whole)),))


def pinned_in(map: MapSpec, folder: str | None) -> MapSpec:
    """The map with its pin in another folder."""
    if not map.pin or folder is None:
        return map
    return replace(map, pin=os.path.join(folder, os.path.basename(map.pin)))
