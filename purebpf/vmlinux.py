"""The kernel's types by name: `from purebpf.vmlinux import task_struct, sock`.

A name stands for the type in programs: its fields are those of the kernel's BTF (Linux 5.4), which is read when a program that
uses them is compiled. Nothing is generated or read when the name is imported, so a name that the kernel does not have is an
error where it is used.
"""

from __future__ import annotations

from purebpf.lang.kernel_types import kernel_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return kernel_type(name)
