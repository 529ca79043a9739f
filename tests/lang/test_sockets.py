"""The layouts of what programs get pointers to, against the kernel's own types."""

from __future__ import annotations

import pytest

from purebpf.btf.running import kernel_btf
from purebpf.btf.types import Struct
from purebpf.errors import Error, Unsupported
from purebpf.lang.sockets import FLOW_KEYS, SOCKET, SOCKET_COMMON, TCP_SOCKET, Socket
from purebpf.lang.types import StructType


def kernels(name: str) -> dict[str, int]:
    """Fields and their offsets in bytes, those of unnamed members among them."""
    try:
        btf = kernel_btf()
    except Unsupported as error:
        pytest.skip(str(error))

    def fields(number: int, start: int) -> dict[str, int]:
        found: dict[str, int] = {}
        for member in btf.type(btf.resolve(number)).members:  # type: ignore[union-attr]
            at = start + member.bit_offset // 8
            found |= {member.name: at} if member.name else fields(member.type, at)
        return found

    numbers = btf.types_named(name, Struct.kind)
    if not numbers:
        pytest.skip(f"the kernel's BTF has no {name}")
    return fields(numbers[0], 0)


@pytest.mark.parametrize(
    ("layout", "name"),
    [(SOCKET, "bpf_sock"), (SOCKET_COMMON, "bpf_sock"), (TCP_SOCKET, "bpf_tcp_sock"), (FLOW_KEYS, "bpf_flow_keys")],
)
def test_fields_lie_where_the_kernel_has_them(layout: StructType, name: str) -> None:
    known = kernels(name)
    assert {field.name: field.offset for field in layout.fields}.items() <= known.items()


@pytest.mark.parametrize("layout", [SOCKET, TCP_SOCKET, FLOW_KEYS])
def test_classes_name_every_field(layout: StructType) -> None:
    named = {name for kind in layout.record.__mro__ for name in getattr(kind, "__annotations__", {})}
    assert named == {field.name for field in layout.fields}


def test_there_are_none_in_user_space() -> None:
    with pytest.raises(Error, match="`Socket` is the kernel's"):
        Socket()
