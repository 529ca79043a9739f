"""Types of the kernel in programs that run as Python: there are no objects of the kernel, and each use says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from purebpf.errors import Unsupported
from purebpf.lang import kernel_types
from purebpf.lang.kernel_types import KernelName
from purebpf.runner.names import stands_for, stands_for_kind

if TYPE_CHECKING:
    from purebpf.runner.session import Runner


def refuse(what: str) -> NoReturn:
    raise Unsupported(f"{what}: Python has none of the kernel's objects; run the program in the kernel")


@stands_for_kind(KernelName)
def _type(runner: Runner, value: KernelName) -> Any:
    return lambda *_: refuse(f"{value.__name__}(address)")


@stands_for(kernel_types.type_exists, kernel_types.enum_value)
def _query(runner: Runner, value: Any) -> Any:
    return lambda *_: refuse(f"bpf.{value.__name__}()")
