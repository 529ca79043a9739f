"""Functions of the kernel, which are not there when a program runs as Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from purebpf.errors import Unsupported
from purebpf.lang import graphs, idioms, kfuncs, walks
from purebpf.runner.names import stands_for, stands_for_kind

if TYPE_CHECKING:
    from purebpf.runner.session import Runner


@stands_for(kfuncs.kfunc_exists)
def kfunc_exists(runner: Runner, _: Any) -> Any:
    return lambda name: False


class Kfuncs:
    """`bpf.kfuncs`."""

    def __getattr__(self, name: str) -> Any:
        def call(*_: Any, **__: Any) -> NoReturn:
            raise Unsupported(f"A program that runs as Python has no {name}: run it in the kernel, or its bytecode by `run()`.")

        return call


@stands_for_kind(kfuncs.Kfuncs)
def all_of_them(runner: Runner, _: Any) -> Kfuncs:
    return Kfuncs()


@stands_for_kind(kfuncs.KfuncName)
def one(runner: Runner, named: kfuncs.KfuncName) -> Any:
    return getattr(Kfuncs(), named.name)


class Walks:
    """`bpf.iter`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(Kfuncs(), f"bpf_iter_{name}")


@stands_for_kind(walks.Walks)
def iterators(runner: Runner, _: Any) -> Walks:
    return Walks()


@stands_for(graphs.new, graphs.drop, idioms.returning)
def objects(runner: Runner, function: Any) -> Any:
    return getattr(Kfuncs(), f"bpf.{function.__name__}")
