"""Gives BTF to the kernel: BPF_BTF_LOAD (Linux 4.18; kernel/bpf/btf.c)."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from struct import pack

from purebpf.btf.builder import BtfBuilder
from purebpf.btf.errors import BtfError
from purebpf.btf.types import Func, FuncProto, Int, Linkage, Type
from purebpf.errors import Error
from purebpf.kernel.attr import pack as pack_attr
from purebpf.kernel.attr import read
from purebpf.kernel.btf_features import REFUSALS, for_this_kernel
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.memlock import with_memlock
from purebpf.kernel.syscall import address, bpf, bpf_buffer, pin, room
from purebpf.spec import MapTypes, ProgramSpec
from purebpf.tables.attr import SIZES
from purebpf.tables.enums import Command

FUNC_INFO_BYTES = 8  # struct bpf_func_info
NEEDS = ("CAP_SYS_ADMIN",)
NO_C_NAME = re.compile(r"\W", re.ASCII)


def load_btf(data: bytes, what: str) -> Descriptor:
    """BTF in the kernel. Types that an older kernel does not know become others of the same number and size, and the
    descriptor's name says so. Raises KernelError."""
    answer, said = _load(data), f"the BTF of {what}"
    if -answer in REFUSALS:
        with suppress(BtfError):
            simpler, without = for_this_kernel(data)
            if without:
                answer, said = _load(simpler), f"{said} (without {', '.join(without)})"
    if answer < 0:
        raise failure(-answer, f"Loading the BTF of {what}", needs=("CAP_BPF",), first=(4, 18), feature="BTF")
    return Descriptor(answer, said)


def _load(data: bytes) -> int:
    pinned = pin(data)
    return with_memlock(lambda: bpf(Command.BTF_LOAD, {"btf": address(pinned), "btf_size": len(data)}))


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


def module_btf(name: str) -> Descriptor:
    """The BTF that the kernel has of a module (Linux 5.11). Raises KernelError; Error when there is none of that name."""
    what = f"the BTF of the module {name!r}"
    attribute, _ = pack_attr("BTF_GET_NEXT_ID", {})
    while True:
        answer = bpf_buffer(Command.BTF_GET_NEXT_ID, attribute, len(attribute))
        if answer == -errno.ENOENT:
            raise Error(f"The kernel has no BTF of a module {name!r}.")
        if answer < 0:
            raise failure(-answer, f"Looking for {what}", needs=NEEDS, first=(5, 4), feature="the list of all BTF")
        number = read("ID", attribute, "next_id")
        attribute, _ = pack_attr("BTF_GET_NEXT_ID", {"start_id": number})
        answer = bpf(Command.BTF_GET_FD_BY_ID, {"btf_id": number})
        if answer == -errno.ENOENT:  # it went meanwhile
            continue
        if answer < 0:
            raise failure(-answer, f"Opening {what}", needs=NEEDS, first=(4, 19), feature="BTF by its id")
        found = Descriptor(answer, what)
        if name_of(found) == name:
            return found
        found.close()


def name_of(btf: Descriptor) -> str:
    """The kernel's name for its own BTF and those of its modules; "" for that of a program."""
    text, info = room(64), room(SIZES["bpf_btf_info"])  # names of modules have at most 55 bytes
    info.raw = bytes(pack_attr("bpf_btf_info", {"name": address(text), "name_len": len(text)})[0])
    answer = bpf(Command.OBJ_GET_INFO_BY_FD, {"bpf_fd": btf.number, "info_len": len(info), "info": address(info)})
    if answer < 0:
        raise failure(-answer, f"Reading the info of {btf.what}", first=(4, 18), feature="the info of BTF")
    return text.value.decode("utf-8", "replace")
