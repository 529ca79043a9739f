"""Gives BTF to the kernel: BPF_BTF_LOAD (Linux 4.18; kernel/bpf/btf.c)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from struct import pack

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.types import Func, FuncProto, Int, Linkage, Type
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.memlock import with_memlock
from purebpf.kernel.syscall import address, bpf, pin
from purebpf.spec import MapTypes, ProgramSpec
from purebpf.tables.enums import Command

FUNC_INFO_BYTES = 8  # struct bpf_func_info
NO_C_NAME = re.compile(r"\W", re.ASCII)


def load_btf(data: bytes, what: str) -> Descriptor:
    """BTF in the kernel. Raises KernelError."""
    pinned = pin(data)
    answer = with_memlock(lambda: bpf(Command.BTF_LOAD, {"btf": address(pinned), "btf_size": len(data)}))
    if answer < 0:
        raise failure(-answer, f"Loading the BTF of {what}", needs=("CAP_BPF",), first=(4, 18), feature="BTF")
    return Descriptor(answer, f"the BTF of {what}")


def _with(types: Iterable[Type]) -> BtfBuilder:
    """A builder that has these types, their numbers as they are."""
    builder = BtfBuilder(sys.byteorder)
    for number, type in enumerate(types, 1):
        assert builder.add(type) == number
    return builder


def types_of(types: MapTypes) -> bytes:
    """A map's types."""
    return _with(types.types).encode()


def function_types(spec: ProgramSpec) -> tuple[bytes, bytes]:
    """(BTF, function records) of a program: each function as its type says, else as a static one without arguments. The
    kernel wants all of them where there are callbacks or global functions."""
    builder = _with(spec.types)
    result = builder.add(Int("int", 4, 32, signed=True))
    prototype = builder.add(FuncProto(result, ()))
    records = b""
    for function in spec.functions:
        static = Func(NO_C_NAME.sub("_", function.name), prototype, Linkage.STATIC)
        records += pack("=II", function.slot, function.type or builder.add(static))
    return builder.encode(), records
