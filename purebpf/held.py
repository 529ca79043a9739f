"""What author's maps hold before anything is loaded, as part of a spec: programs in program arrays, maps in maps of maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from purebpf.collection import reachable
from purebpf.data import replace
from purebpf.lang.maps import ProgArray
from purebpf.lang.maps.declaration import KEY32
from purebpf.lang.maps.nested import Outer
from purebpf.spec import CollectionSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.compiler.loadable import Loadable
    from purebpf.lang.maps import MapDeclaration
    from purebpf.program import Program
    from purebpf.spec import MapSpec


def with_tables(programs: Iterable[Program], compiled: Callable[[Program], Loadable]) -> list[Program]:
    """The programs, and those in the program arrays they use."""
    return reachable(programs, compiled, wholes=False)


def with_entries(
    spec: CollectionSpec, declarations: Mapping[str, MapDeclaration], names: Mapping[Program, str]
) -> CollectionSpec:
    """The spec with what its maps hold; maps that only lie in others are in it then."""
    maps = dict(spec.maps)
    owned = {id(declaration): name for name, declaration in declarations.items()}
    for name, declaration in declarations.items():
        if isinstance(declaration, ProgArray):
            held = [(KEY32.encode(index), names[member]) for index, member in declaration.entries.items()]
        elif isinstance(declaration, Outer):
            held = [(declaration.key_type.encode(key), _inner(inner, name, maps, owned)) for key, inner in _told(declaration)]
        else:
            continue
        maps[name] = replace(maps[name], entries=tuple(sorted(held)))
    return replace(spec, maps=maps)


def _told(outer: Outer[object, MapDeclaration]) -> list[tuple[object, MapDeclaration]]:
    return list(outer.entries.items())


def _inner(inner: MapDeclaration, outer: str, maps: dict[str, MapSpec], owned: dict[int, str]) -> str:
    """The name of a map that lies in another, which is added where the collection has it not."""
    if id(inner) not in owned:
        wanted = inner.name or f"{outer}_{len(maps)}"
        name, n = wanted, 1
        while name in maps:
            n += 1
            name = f"{wanted}_{n}"
        maps[name] = inner.describe(name)
        owned[id(inner)] = name
    return owned[id(inner)]
