"""Which kinds of BTF this kernel takes, found out by loading a small one with each."""

from __future__ import annotations

import errno
import os
import sys

from purebpf.btf.builder import encoded as encoded_for
from purebpf.btf.errors import BtfError
from purebpf.btf.reader import Btf
from purebpf.btf.sanitize import SINCE, sanitized
from purebpf.btf.types import (
    DataSec,
    DeclTag,
    Enum64,
    Float,
    Func,
    FuncProto,
    Int,
    Linkage,
    Ptr,
    Section,
    Struct,
    Type,
    TypeTag,
    Var,
)
from purebpf.errors import Error
from purebpf.kernel.errors import failure
from purebpf.kernel.syscall import address, bpf, pin
from purebpf.tables.enums import Command

INT = Int("int", 4, 32, signed=True)
TYPES: dict[str, tuple[Type, ...]] = {
    "func": (INT, FuncProto(0, ()), Func("f", 2, Linkage.STATIC)),
    "datasec": (INT, Var("v", 1, Linkage.STATIC), DataSec(".data", 4, (Section(2, 0, 4),))),
    "func_global": (INT, FuncProto(0, ()), Func("f", 2, Linkage.GLOBAL)),
    "float": (Float("float", 4),),
    "decl_tag": (INT, Struct("s", 0, ()), DeclTag("t", 2, -1)),
    "type_tag": (INT, TypeTag("t", 1), Ptr(2)),
    "enum64": (Enum64("e", 8, False, (("A", 1),)),),
    "tag_attribute": (INT, TypeTag("t", 1, attribute=True), Ptr(2)),
}
REFUSALS = (errno.EINVAL, errno.EOPNOTSUPP, 524)  # 524 is ENOTSUPP, which C libraries do not know
_known: dict[str, bool] = {}


def has_btf(name: str) -> bool:
    """Whether the kernel takes BTF with this: a key of `sanitize.SINCE`. Raises KernelError when it cannot be found out."""
    if name not in TYPES:
        raise Error(f"There is no probe of BTF for {name!r}; there are probes for {', '.join(TYPES)}.")
    if name not in _known:
        data = encoded(TYPES[name])
        pinned = pin(data)
        answer = bpf(Command.BTF_LOAD, {"btf": address(pinned), "btf_size": len(data)})
        if answer >= 0:
            os.close(answer)
        elif -answer not in REFUSALS:
            raise failure(-answer, f"Probing for BTF with {name}", needs=("CAP_BPF",), first=(4, 18), feature="BTF")
        _known[name] = answer >= 0
    return _known[name]


def encoded(types: tuple[Type, ...] | list[Type]) -> bytes:
    """Types as this machine's BTF, each at its place even if there are equal ones."""
    return encoded_for(types, sys.byteorder)


def simpler(refusal: int, data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The same for BTF that the kernel refused with this errno; as it is where that is not the reason, or it is not valid."""
    try:
        return for_this_kernel(data) if refusal in REFUSALS else (data, ())
    except BtfError:
        return data, ()


def for_this_kernel(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """BTF as this kernel takes it, and which features it had to do without (none: the bytes are as they were)."""
    lacks = tuple(name for name in SINCE if not has_btf(name))
    types = [type for _, type in Btf(data)]
    made = sanitized(types, lacks) if lacks else types
    return (encoded(made), lacks) if made != types else (data, ())
