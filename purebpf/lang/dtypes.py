"""NumPy's view of the language's types: the `dtype` with the same layout. NumPy is imported here alone, when it is wanted."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from purebpf.errors import Unsupported
from purebpf.lang.types import ArrayType, BoolType, BytesType, CharsType, Field, IntType, KernelType, StructType, Type

if TYPE_CHECKING:
    import numpy


def numpy_module() -> ModuleType:
    """NumPy. Raises Unsupported where it is not installed."""
    try:
        import numpy
    except ImportError:
        raise Unsupported("this needs NumPy, which is not installed: pip install 'purebpf[numpy]'") from None
    return numpy


@cache
def dtype_of(layout: Type) -> numpy.dtype[Any]:
    """Integers as such, in their byte order; texts and bytes as `S` and `V`, arrays as subarrays, records as structured types
    of the same offsets and size. Bit fields that share an integer are that integer, under the name of the first."""
    return numpy_module().dtype(_description(layout))  # type: ignore[no-any-return]


def _description(layout: Type) -> Any:
    match layout:
        case IntType(bits=bits, signed=signed, big=big):
            return f"{'>' if big else '<'}{'i' if signed else 'u'}{bits // 8}"
        case BoolType():
            return "?"
        case CharsType(size=size):
            return f"S{size}"
        case BytesType(size=size) | KernelType(size=size):
            return f"V{size}"
        case ArrayType(element=element, count=count):
            return (dtype_of(element), (count,))
        case StructType(fields=fields, size=size):
            parts = [field for field in fields if layout.union or not field.bits or not _shares(fields, field)]
            return {
                "names": [field.name for field in parts],
                "formats": [dtype_of(field.type) for field in parts],
                "offsets": [field.offset for field in parts],
                "itemsize": size,
            }


def _shares(fields: tuple[Field, ...], field: Field) -> bool:
    """Whether a bit field before this one lies in the same integer."""
    before = fields[: fields.index(field)]
    return any(each.bits and each.offset == field.offset for each in before)
