"""Variables of programs as attributes: before loading what they begin with, afterwards what they are.

Constants can be assigned before loading only. Others lie in memory that is shared with the programs where the kernel does that
(BPF_F_MMAPABLE, Linux 5.5), and are read and written by system calls where it does not.
"""

from __future__ import annotations

from purebpf.data import replace
from purebpf.errors import Error, NotLoaded
from purebpf.lang.maps.declaration import KEY32
from purebpf.tables.enums import MapType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from purebpf.engine import EngineMap
    from purebpf.lang.data import RecordView
    from purebpf.lang.types import StructType
    from purebpf.spec import MapSpec

    Row: TypeAlias = tuple[str, str, int, list[tuple[Any, ...]], bool, tuple[str, ...]]

MMAPABLE = 1 << 10  # BPF_F_MMAPABLE


class Section:
    """The variables of one map: what lies behind the views of it. `group` is the name that leads to them, "" if none does."""

    def __init__(self, spec: MapSpec, row: Row) -> None:
        from purebpf.lang.data import RecordView
        from purebpf.lang.fixed import record

        _, self.group, size, fields, self.constant, unset = row
        self.key = b"" if spec.type is MapType.ARENA else KEY32.encode(0)
        if spec.value_size != size and spec.type is not MapType.ARENA:
            raise Error(f"the variables of `{spec.name}` have {spec.value_size} bytes, and the package was written for {size}")
        self.name, self.unset = spec.name, set(unset)
        made: Any = record("", self.group or "variables", size, 8, fields)
        self.layout: StructType = made.__bpf_type__
        self.initial = bytearray(dict(spec.contents).get(self.key, b"").ljust(size, b"\0"))
        self.live: EngineMap | None = None
        self.closed = False
        self.shared: memoryview | None = None
        self.read: bytearray | None = None
        self.view = RecordView(self, 0, self.layout)

    def described(self, spec: MapSpec) -> MapSpec:
        """The map with what the variables are now. Raises Error for one that has no value yet."""
        if self.unset:
            raise Error(f"`variables.{self._path(min(self.unset))}` has no value: assign it before the programs are loaded")
        return replace(spec, contents=((self.key, bytes(self.initial)),))

    def bind(self, live: EngineMap | None) -> None:
        """Connect the variables with a live map, or disconnect them (None)."""
        if self.shared is not None:
            self.shared.release()
        self.live, self.shared = live, None
        shared = live is not None and (live.spec.flags & MMAPABLE or live.spec.type is MapType.ARENA)
        if live is not None and shared and not self.constant:
            self.shared = live.memory()

    def close(self) -> None:
        """Disconnect them for good: what programs left in them cannot be read any more, constants can."""
        self.bind(None)
        self.closed = True

    def _check_open(self, what: str) -> None:
        if self.closed:
            name = f"`variables.{self._path(self._name(what))}`"
            raise NotLoaded(f"{name} was in the programs' memory, which is closed: read it before, or load another one")

    def readable(self, what: str) -> bytearray | memoryview:
        if self._name(what) in self.unset:
            raise Error(f"`variables.{self._path(self._name(what))}` has no value yet")
        if not self.constant:
            self._check_open(what)
        if self.live is None or self.constant:
            return self.initial
        if self.shared is not None:
            return self.shared
        return bytearray(self.live.lookup(self.key) or b"")

    def writable(self, what: str) -> bytearray | memoryview:
        self._check_open(what)
        if self.live is None or self.shared is not None:
            return self.initial if self.shared is None else self.shared
        if self.constant:
            raise Error(
                f"`variables.{self._path(self._name(what))}` is a constant of programs that are loaded: assign it before"
            )
        self.read = bytearray(self.live.lookup(self.key) or b"")
        return self.read

    def assigned(self, what: str) -> None:
        self.unset.discard(self._name(what))
        if self.read is not None and self.live is not None:
            self.live.update(self.key, bytes(self.read))
        self.read = None

    def _name(self, what: str) -> str:
        return what.partition(".")[2].partition(".")[0].partition("[")[0]

    def _path(self, name: str) -> str:
        return f"{self.group}.{name}" if self.group else name


class Variables:
    """All variables of a package's programs, each an attribute, in groups where the source has them so."""

    def __init__(self, sections: list[Section]) -> None:
        places: dict[str, RecordView | None] = {}
        for section in sections:
            if section.group:
                places[section.group] = section.view
            else:
                places |= {field.name: None for field in section.layout.fields}
        owners = {field.name: section.view for section in sections if not section.group for field in section.layout.fields}
        object.__setattr__(self, "_places", (places, owners))

    if not TYPE_CHECKING:  # a generated stub says which there are

        def __getattr__(self, name: str) -> Any:
            places, owners = self._known(name)
            return getattr(owners[name], name) if places[name] is None else places[name]

        def __setattr__(self, name: str, value: object) -> None:
            places, owners = self._known(name)
            if places[name] is not None:
                raise AttributeError(f"`{name}` is a group of variables: assign one of them, {', '.join(dir(places[name]))}")
            setattr(owners[name], name, value)

    def _known(self, name: str) -> Any:
        found = vars(self).get("_places", ({}, {}))
        if name not in found[0]:
            raise AttributeError(f"there is no variable `{name}`; there are: {', '.join(found[0]) or 'none'}")
        return found

    def __dir__(self) -> list[str]:
        return sorted(vars(self)["_places"][0])

    def __repr__(self) -> str:
        return f"<variables: {', '.join(vars(self)['_places'][0]) or 'none'}>"
