"""Gives BTF to the kernel: BPF_BTF_LOAD (Linux 4.18; kernel/bpf/btf.c)."""

from __future__ import annotations

import errno

from purebpf.errors import Error
from purebpf.kernel.attr import pack as pack_attr
from purebpf.kernel.attr import read
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.memlock import with_memlock
from purebpf.kernel.syscall import address, bpf, bpf_buffer, pin, room
from purebpf.kernel.token import with_token
from purebpf.tables.attr import SIZES
from purebpf.tables.enums import Command

NEEDS = ("CAP_SYS_ADMIN",)


def load_btf(data: bytes, what: str, exactly: bool = False) -> Descriptor:
    """BTF in the kernel. Types that an older kernel does not know become others of the same number and size, and the
    descriptor's name says so, unless it is wanted `exactly` like this. Raises KernelError."""
    answer, said = _load(data), f"the BTF of {what}"
    if answer < 0 and not exactly:
        from purebpf.kernel.btf_features import simpler

        simple, without = simpler(-answer, data)
        if without:
            answer, said = _load(simple), f"{said} (without {', '.join(without)})"
    if answer < 0:
        raise failure(-answer, f"Loading the BTF of {what}", needs=("CAP_BPF",), first=(4, 18), feature="BTF")
    return Descriptor(answer, said)


def _load(data: bytes) -> int:
    pinned = pin(data)
    fields: dict[str, int | bytes] = {"btf": address(pinned), "btf_size": len(data)}
    return with_token(Command.BTF_LOAD, fields, lambda: with_memlock(lambda: bpf(Command.BTF_LOAD, fields)))


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
