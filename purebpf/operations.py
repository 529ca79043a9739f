"""Operations of the kernel written in Python: a class whose functions become programs (struct_ops, Linux 5.6).

    @bpf.struct_ops("tcp_congestion_ops")
    class steady:
        name = "steady"

        def ssthresh(sk): ...

Its other attributes are the struct's other members. `bpf.register(steady)` puts it to use.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection as SomeOf
from types import FunctionType

from purebpf.errors import Error
from purebpf.lang import declaring
from purebpf.lang.program_types import KINDS
from purebpf.program import Program, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from purebpf.collection import Collection
    from purebpf.kernel.info import LinkInfo
    from purebpf.kernel.struct_ops import StructOpsLink

USAGE = '@bpf.struct_ops("tcp_congestion_ops") over a class with the operations as functions'


class StructOps:
    """Operations of the kernel: `programs` by the name of the operation, `values` of the other members."""

    def __init__(self, struct: str, own: type, sleepable: SomeOf[str] = ()) -> None:
        self.struct = struct
        self.__name__, self.__doc__, self.__module__ = own.__name__, own.__doc__, own.__module__
        given = {name: value for name, value in vars(own).items() if not name.startswith("__")}
        plain = KINDS["struct_ops"]
        self.programs: dict[str, Program] = {}
        self.values: dict[str, object] = {}
        for name, value in given.items():
            if isinstance(value, FunctionType):
                kind = plain.sleeping() if name in sleepable else plain
                self.programs[name] = Program(value, kind, f"{struct}.{name}")
            elif isinstance(value, bool) or not isinstance(value, int | str | bytes):
                what = f"`{own.__name__}.{name}` is {value!r}"
                raise declaring.error(f"{what}: functions, integers and texts are members", USAGE)
            else:
                self.values[name] = value
        for name in sleepable:
            if name not in self.programs:
                raise declaring.error(f"`{own.__name__}` has no operation `{name}` that could be sleepable", USAGE)
        if not self.programs:
            raise declaring.error(f"`{own.__name__}` has no operation: write them as functions", USAGE)

    @property
    def name(self) -> str:
        return self.__name__

    @property
    def __bpf_operations__(self) -> dict[str, Program]:
        return self.programs

    def made(self, link: bool = True) -> Any:
        from purebpf.kernel.struct_ops import StructOpsMap

        loaded: dict[str, Any] = {name: program.loaded for name, program in self.programs.items()}
        return StructOpsMap(self.name, self.struct, self.values, loaded, link)

    def __repr__(self) -> str:
        return f"<bpf.struct_ops {self.struct} {self.name}: {', '.join(self.programs)}>"


class Registration:
    """Operations in use: a context manager; leaving it takes them back, and unloads what `register` loaded. The kernel keeps
    operations alive for as long as something, such as a socket, goes by them."""

    def __init__(self, operations: StructOps, collection: Collection, link: StructOpsLink, own: bool) -> None:
        self.operations = operations
        self.link = link
        self._collection = collection
        self._own = own

    @property
    def mechanism(self) -> str:
        return self.link.mechanism

    @property
    def info(self) -> LinkInfo:
        """The link's id and type. Raises NotLoaded where there is no link."""
        return self.link.info

    def update(self, other: object) -> None:
        """Put other operations, of the same `name` for the kernel and loaded, in the place of these, without a gap (Linux 6.4).
        Raises Unsupported and KernelError."""
        found = _operations(other)
        self.link.check_replaceable()  # before others are made, which registers them where there are no links
        made = found.made()
        try:
            self.link.replace(made)
        except BaseException:
            made.descriptor.close()
            raise
        self.operations = found

    def close(self) -> None:
        self.link.close()
        if self._own:
            self._collection.close()

    def __enter__(self) -> Registration:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def register(operations: object, *, link: bool = True) -> Registration:
    """Load a `@bpf.struct_ops` class if it is not loaded, and have the kernel use it until the result is closed.

    By a link since Linux 6.4; `link=False` takes the older way. Raises CompileError, VerifierError, KernelError with why the
    kernel does not take the operations, Unsupported where there are no such ones.
    """
    found = _operations(operations)
    before = next(iter(found.programs.values())).collection
    collection = before or load(*found.programs.values(), engine="kernel")
    try:
        return Registration(found, collection, found.made(link).register(), before is None)
    except BaseException:
        if before is None:
            collection.close()
        raise


def _operations(given: object) -> StructOps:
    if not isinstance(given, StructOps):
        raise Error(f"a @bpf.struct_ops class is wanted here, not {given!r}")
    return given


@declaring.explained("@bpf.struct_ops", USAGE)
def struct_ops(struct: str, *, sleepable: SomeOf[str] = ()) -> Callable[[type], StructOps]:
    """Make a class operations of the kernel: its functions become programs that take the operation's parameters in their order,
    its integers and texts the other members. `sleepable` names the operations that may call what sleeps."""
    if not isinstance(struct, str) or not struct.isidentifier():
        raise declaring.error('@bpf.struct_ops takes the name of a struct of the kernel, such as "tcp_congestion_ops"', USAGE)

    def decorate(own: type) -> StructOps:
        if not isinstance(own, type):
            raise declaring.error(f"@bpf.struct_ops decorates a class, not {own!r}", USAGE)
        return StructOps(struct, own, sleepable)

    return decorate
