"""What all maps have that an author declares: a type, sizes, a name, and the live map once loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from purebpf.engine import Engine, EngineMap
from purebpf.errors import Error, NotLoaded
from purebpf.lang import declaring
from purebpf.lang.types import IntType, KernelType, Type, kept_fields, type_of
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    from typing import Self

KEY32 = IntType(32)
KEEPERS = {  # map types whose values may hold these
    "bpf_spin_lock": (MapType.HASH, MapType.ARRAY),
    "bpf_timer": (MapType.HASH, MapType.LRU_HASH, MapType.ARRAY),
    "bpf_list_head": (MapType.HASH, MapType.LRU_HASH, MapType.ARRAY),
    "bpf_rb_root": (MapType.HASH, MapType.LRU_HASH, MapType.ARRAY),
    "kptr": (MapType.HASH, MapType.LRU_HASH, MapType.ARRAY, MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH),
}


LAYOUTS = "use u8 to s64, be16 to be64, bool or a @bpf.struct"
WORDS = {
    int: "say how wide: u8 to u64, s8 to s64",
    str: "a text is a field of a record: `name: str = bpf.chars(16)`",
    bytes: "raw bytes are a field of a record: `mac: bytes = bpf.bytes(6)`",
    list: "an array is a field of a record: `items: list[u32] = bpf.array(u32, 4)`",
    float: "there are no floats in the kernel",
}


def _check_type(map: type, wanted: Any) -> None:
    """Refuse what is surely no layout; variables of types and quoted ones are looked at when the map is used."""
    if wanted is None or not isinstance(origin := getattr(wanted, "__origin__", wanted), type):
        origin = type(None) if wanted is None else None
    if origin is not None and type_of(wanted) is None and not issubclass(origin, MapDeclaration):
        shown = wanted.__name__ if wanted is origin else wanted
        plain = isinstance(wanted, type) and wanted.__module__ not in ("builtins", "typing", "ipaddress")
        hint = f"write `@bpf.struct` above `class {shown}`" if plain else WORDS.get(origin, LAYOUTS)
        if getattr(wanted, "__module__", "") == "ipaddress":
            hint = "an IPv4 address is a be32 or u32; the keys of `bpf.LpmTrie` are `ipaddress.IPv4Network` or `IPv6Network`"
        if hasattr(wanted, "__bpf_kernel_type__"):
            hint = "objects of the kernel stay there: hold what you copy from them, in a @bpf.struct of your own"
        raise declaring.error(f"`bpf.{map.__name__}[...]`: `{shown}` has no layout", hint)


class MapDeclaration:
    """What all maps have: a type, sizes, a name (that of the variable a program uses it by) and the live map once loaded."""

    kind: MapType
    parameters = 0  # how many types stand in the brackets
    reached: Any = None  # in a program, the pointer that leads to it, for a map that lies in another
    creates = False  # whether `m[k] += n` may add the entry

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        """Says what is missing where the arguments do not fit."""
        problem = declaring.mismatch(cls.__init__, (None, *args), keywords)
        if problem is not None:
            raise declaring.error(f"`bpf.{cls.__name__}`: {problem}", cls._usage())
        return super().__new__(cls)

    def __class_getitem__(cls, types: Any) -> Any:
        try:
            made = super().__class_getitem__(types)  # type: ignore[misc]
        except (TypeError, AttributeError):
            many = ("takes no types", "takes one type", "takes two types, of keys and of values")[cls.parameters]
            raise declaring.error(f"`bpf.{cls.__name__}` {many}", cls._usage()) from None
        if hasattr(cls, "kind"):
            for type in types if isinstance(types, tuple) else (types,):
                _check_type(cls, type)
        return made

    @classmethod
    def _usage(cls) -> str:
        """How one is declared."""
        import inspect

        shape = f"[{', '.join(('K', 'V')[-cls.parameters :])}]" if cls.parameters else ""
        needed = [
            name
            for name, parameter in inspect.signature(cls.__init__).parameters.items()
            if name != "self" and parameter.default is parameter.empty
        ]
        return f"bpf.{cls.__name__}{shape}({', '.join(f'{name}=...' for name in needed)})"

    def __init__(self, max_entries: int, *, name: str | None = None, flags: int = 0, pin: str = "") -> None:
        """`pin`: a path in a BPF file system by which programs that are loaded apart, in any process, share the map."""
        if isinstance(max_entries, bool) or not isinstance(max_entries, int) or not 0 < max_entries < 1 << 32:
            raise declaring.error(f"max_entries must be a positive 32-bit integer, not {max_entries!r}", self._usage())
        self.place = declaring.here()  # where it is declared
        self.max_entries = max_entries
        self.name = name
        self.flags = flags
        self.pin_path = pin
        self.existing: str | int | None = None  # see `reuse`
        self.holder: Any = None  # what it is loaded in, which lives as long as the map has it
        self._live: EngineMap | None = None
        self._closed = False
        self._engine: Engine | None = None
        self._types: tuple[Type, ...] | None = None

    def settle(self) -> None:
        """From now on only what a map has can be set, and its size and pin only until it is loaded."""
        self._settled = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__.get("_settled") and not name.startswith("_"):
            self._check_setting(name, value)
        super().__setattr__(name, value)

    def _check_setting(self, name: str, value: Any) -> None:
        """Refuse what would be ignored, or fail later."""
        if not hasattr(self, name):
            from difflib import get_close_matches

            near = get_close_matches(name, ("max_entries", "pin_path"), 1)
            raise AttributeError(f"the map `{self.called}` has no `{name}`{f'; did you mean {near[0]}?' if near else ''}")
        if name not in ("max_entries", "pin_path"):
            return
        if self._live is not None:
            raise Error(f"the map `{self.called}` is loaded; its {name} is told before")
        whole = isinstance(value, int) and not isinstance(value, bool)
        if name == "max_entries" and not (whole and 0 < value < 1 << 32):
            raise Error(f"the map `{self.called}`: max_entries is a positive 32-bit integer, not {value!r}")

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.name or name

    @property
    def types(self) -> tuple[Type, ...]:
        """The layouts in the brackets."""
        if self._types is None:
            self._types = self._layouts()
        return self._types

    def _layouts(self) -> tuple[Type, ...]:
        written = getattr(getattr(self, "__orig_class__", None), "__args__", ())
        if self.parameters and len(written) != self.parameters:
            raise declaring.error("the map does not say what it holds", self._usage(), self.place)
        layouts = tuple(type_of(t) for t in written)
        for annotation, layout in zip(written, layouts, strict=True):
            if layout is None:
                shown = getattr(annotation, "__name__", annotation)
                raise declaring.error(f"`bpf.{type(self).__name__}[...]`: `{shown}` has no layout", LAYOUTS, self.place)
        return cast("tuple[Type, ...]", layouts)

    @property
    def has_types(self) -> bool:
        """Whether the brackets are there."""
        return hasattr(self, "__orig_class__")

    @property
    def key_type(self) -> Type:
        return self.types[0] if self.parameters == 2 else KEY32

    @property
    def value_type(self) -> Type:
        return self.types[-1] if self.parameters else KEY32

    def describe(self, name: str) -> MapSpec:
        """The map as plain data, under the name it has in its collection."""
        from purebpf.lang.map_types import map_types

        key, value = self.key_type, self.value_type
        if not (kept := kept_fields(value)) and not kept_fields(key):
            types = map_types(self.kind, key, value)
            return MapSpec(name, self.kind, key.size, value.size, self.max_entries, self.flags, types=types, pin=self.pin_path)
        for field in kept_fields(key) or kept:
            allowed = KEEPERS.get(field.type.name, ()) if isinstance(field.type, KernelType) and not kept_fields(key) else ()
            if self.kind not in allowed:
                where = "a key" if kept_fields(key) else f"{type(self).__name__}"
                what = f"`{name}`: {where} cannot hold `{field.type}`"
                raise declaring.error(what, "a value in Hash and Array can", self.place)
        types = map_types(self.kind, key, value, required=True)
        return MapSpec(name, self.kind, key.size, value.size, self.max_entries, self.flags, types=types, pin=self.pin_path)

    def reuse(self, existing: str | int | None) -> None:
        """From the next load on be a map that exists already: the one pinned at a path, or of an id (None: a new one again). It
        must have the same type, sizes and flags."""
        if self.bound:
            raise Error(f"map `{self.name}` is loaded: say what to reuse before that")
        if existing is not None and (isinstance(existing, bool) or not isinstance(existing, str | int)):
            raise Error(f"map `{self.name}` can be one that is pinned at a path, or of an id, not {existing!r:.60}")
        self.existing = existing

    def pin(self, path: str) -> None:
        """Keep the map under a path of a BPF file system, such as /sys/fs/bpf/counts, when this process ends. User space
        only."""
        self.live.pin(path)

    def unpin(self, path: str) -> None:
        """Take that name away."""
        self.live.unpin(path)

    def move_pin(self, old: str, new: str) -> None:
        """Rename a pin, in one step, if the new name is free."""
        self.live.move_pin(old, new)

    def freeze(self) -> None:
        """From now on user space cannot write the map, programs can (Linux 5.2)."""
        self.live.freeze()

    @property
    def info(self) -> Any:
        """What the kernel tells about the live map: its id, sizes, flags, whether it is frozen, its memory."""
        return self.live.info

    @property
    def mechanism(self) -> str:
        """How the last operation on many entries was done ("batch", "one entry at a time"), or the last that took one out."""
        return self.live.mechanism

    def bind(self, live: EngineMap | None, engine: Engine | None) -> None:
        """Connect the declaration with a live map, or disconnect it (None)."""
        self._closed = live is None
        self._live, self._engine = live, engine

    @property
    def bound(self) -> bool:
        return self._live is not None

    @property
    def live(self) -> EngineMap:
        if self._live is None:
            raise self.not_loaded()
        return self._live

    @property
    def called(self) -> str:
        """Its name, or that of the variable that holds it."""
        names = self.place[2].items()
        return self.name or next((name for name, value in names if value is self), type(self).__name__)

    def not_loaded(self) -> NotLoaded:
        """The error for a use before it is loaded, or after it was closed."""
        if self._closed:
            again = "load them anew" if self.__dict__.get("_settled") else "load, run or attach one again"
            return NotLoaded(f"map `{self.called}` is not loaded any more, the programs that use it are closed: {again}")
        return NotLoaded(f"map `{self.called}` is not loaded: load, run or attach a program that uses it first")

    @property
    def engine(self) -> Engine:
        assert self.live is not None and self._engine is not None
        return self._engine

    def __repr__(self) -> str:
        state = "" if self.bound else ", not loaded"
        return f"<bpf.{type(self).__name__} {self.name or '(unnamed)'}, {self.max_entries} entries{state}>"
