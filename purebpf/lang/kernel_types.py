"""Names of the kernel's types, as an author imports them from `purebpf.vmlinux`."""

from __future__ import annotations

from functools import cache

from purebpf.errors import Error
from purebpf.lang.idioms import _only_in_a_program


class KernelName(type):
    """The class of all names: each is a class, so that it can be an annotation."""

    __bpf_kernel_type__: str

    def __call__(cls, *args: object, **keywords: object) -> object:
        name = cls.__name__
        raise Error(f"`{name}` is the kernel's own: in a program, in the kernel, `{name}(address)` is what lies at an address")

    def __repr__(cls) -> str:
        return f"<the kernel's {cls.__name__}>"


@cache
def kernel_type(name: str) -> KernelName:
    """The one class that stands for a struct, union, enum or typedef of this name."""
    return KernelName(name, (), {"__bpf_kernel_type__": name, "__module__": "purebpf.vmlinux"})


def type_exists(type: KernelName, /) -> bool:
    """Whether the kernel that the program runs on has the type."""
    _only_in_a_program("type_exists()")


def enum_value(type: KernelName, name: str, /) -> int:
    """The value of an enumerator on the kernel that the program runs on. `bpf.exists(type, name)`: whether there is one."""
    _only_in_a_program("enum_value()")
