"""Operations of the kernel that programs implement: a map of the type STRUCT_OPS whose value is a struct of function pointers
(kernel/bpf/bpf_struct_ops.c, Linux 5.6).

The value is the kernel's `struct bpf_struct_ops_<name>`: its own fields, and behind them the struct itself, with a program's
descriptor in place of each function. Writing the value registers it. Since Linux 6.4 a link does that, and takes it back when
it is closed; before, deleting the map's entry does.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping

from purebpf.btf.running import kernel_btf
from purebpf.btf.types import Array, Int, Ptr, Struct
from purebpf.errors import Error, Unsupported
from purebpf.kernel.btf import load_btf
from purebpf.kernel.btf_features import encoded
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import ENOTSUPP, failure, kernel_version
from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.names import kernel_name
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.syscall import address, bpf, pin
from purebpf.tables.enums import AttachType, Command, MapType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.reader import Btf

PREFIX = "bpf_struct_ops_"
LINK = 1 << 13  # BPF_F_LINK
LINKS_SINCE = (6, 4)
FIRST = (5, 6)
NEEDS = ("CAP_BPF", "CAP_NET_ADMIN")
REASONS = {
    errno.EEXIST: "Something is registered under this name already.",
    errno.EINVAL: "The kernel does not take these operations: one that it wants is missing, or a value is out of range.",
    errno.EBUSY: "It is registered already, or still in use.",
    ENOTSUPP: "The kernel has no such operations for programs to implement.",
}
WANTED = {  # what the kernel does not do without
    "tcp_congestion_ops": "It wants a `name`, `ssthresh`, `undo_cwnd`, and `cong_avoid` or `cong_control`.",
}


class StructOpsLink(KernelLink):
    """Registered operations. `update` puts others in their place (Linux 6.4)."""

    def __init__(self, mechanism: str, descriptors: tuple[Descriptor, ...], what: str) -> None:
        super().__init__(mechanism, descriptors)
        self.what = what

    def close(self) -> None:
        answer = 0
        if len(self._descriptors) == 1 and not self._descriptors[0].closed:  # no link: the map's entry is it
            key = pin(bytes(4))
            answer = bpf(Command.MAP_DELETE_ELEM, {"map_fd": self._descriptors[0].number, "key": address(key)})
        super().close()
        if answer < 0 and answer != -errno.ENOENT:
            raise failure(-answer, f"Taking back {self.what}", needs=NEEDS)

    def check_replaceable(self) -> None:
        """Raises Unsupported for what was registered without a link."""
        if len(self._descriptors) < 2:
            raise Unsupported("Operations that were registered without a link cannot be replaced: links came with Linux 6.4.")

    def replace(self, other: StructOpsMap) -> None:
        """Put other operations of the same struct and name in the place of these, without a gap. Raises Unsupported for kinds
        that cannot be replaced."""
        self.check_replaceable()
        answer = bpf(Command.LINK_UPDATE, {"link_fd": self._descriptors[0].number, "new_map_fd": other.descriptor.number})
        if answer < 0:
            raise failure(-answer, f"Replacing {self.what}", needs=NEEDS, first=LINKS_SINCE, feature="updates of operations")
        old, self._descriptors = self._descriptors[1], (self._descriptors[0], other.descriptor)
        old.close()


class StructOpsMap:
    """Operations in the kernel, not registered yet. Raises Error for a member that the struct does not have, KernelError and
    Unsupported."""

    def __init__(
        self, name: str, struct: str, values: Mapping[str, object], programs: Mapping[str, KernelProgram], link: bool = True
    ) -> None:
        self.what = f"the operations {name!r} ({struct})"
        self.reasons = REASONS | {errno.EINVAL: f"{REASONS[errno.EINVAL]} {WANTED.get(struct, '')}".rstrip()}
        self.links = link and kernel_version() >= LINKS_SINCE
        btf = kernel_btf()
        outer = _struct(btf, PREFIX + struct)
        if outer is None:
            raise Unsupported(f"This kernel has no operations `{struct}` that programs may implement{_similar(btf, struct)}.")
        number, whole = outer
        self.value = _value(btf, whole, values, programs)
        fields: dict[str, int | bytes] = {
            "map_type": int(MapType.STRUCT_OPS),
            "key_size": 4,
            "value_size": len(self.value),
            "max_entries": 1,
            "map_flags": LINK if self.links else 0,
            "map_name": kernel_name(name),
            "btf_vmlinux_value_type_id": number,
        }
        with load_btf(encoded([Int("int", 4, 32, signed=True)]), self.what) as types:  # it wants some
            answer = bpf(Command.MAP_CREATE, {**fields, "btf_fd": types.number})
        if answer < 0:
            raise failure(
                -answer,
                f"Creating {self.what}",
                needs=NEEDS,
                first=FIRST,
                feature="operations of programs",
                reasons=self.reasons,
            )
        self.descriptor = Descriptor(answer, self.what)
        try:
            self._write()
        except BaseException:
            self.descriptor.close()
            raise

    def _write(self) -> None:
        """Tell the kernel the operations; without a link this registers them."""
        key, value = pin(bytes(4)), pin(self.value)
        fields = {"map_fd": self.descriptor.number, "key": address(key), "value": address(value)}
        answer = bpf(Command.MAP_UPDATE_ELEM, fields)
        if answer < 0:
            raise failure(-answer, f"Registering {self.what}", needs=NEEDS, reasons=self.reasons)

    def register(self) -> StructOpsLink:
        """Have the kernel use them, for as long as the result is open; the map belongs to it then. Raises KernelError."""
        if not self.links:
            return StructOpsLink("struct_ops map", (self.descriptor,), self.what)
        answer = bpf(Command.LINK_CREATE, {"map_fd": self.descriptor.number, "attach_type": int(AttachType.STRUCT_OPS)})
        if answer < 0:
            error = failure(
                -answer, f"Registering {self.what}", needs=NEEDS, first=LINKS_SINCE, feature="links", reasons=self.reasons
            )
            self.descriptor.close()
            raise error
        link = Descriptor(answer, f"the link of {self.what}")
        return StructOpsLink("struct_ops link", (link, self.descriptor), self.what)


def member_index(struct: str, member: str) -> tuple[int, int]:
    """(the number of the struct's type, the member's index): what a program is loaded with. Raises Error."""
    found = _struct(kernel_btf(), struct)
    if found is None:
        raise Unsupported(f"This kernel has no operations `{struct}`.")
    for index, one in enumerate(found[1].members):
        if one.name == member:
            return found[0], index
    raise Error(f"`{struct}` has no operation `{member}`.")


def _struct(btf: Btf, name: str) -> tuple[int, Struct] | None:
    for number in btf.types_named(name, Struct.kind):
        found = btf.type(number)
        if isinstance(found, Struct):
            return number, found
    return None


def _similar(btf: Btf, struct: str) -> str:
    names = (btf.name(number) for number in btf.numbers(Struct.kind))
    there = sorted(name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX) and name != f"{PREFIX}common_value")
    return f"; it has {', '.join(there)}" if there else f" (it has none at all, and {struct} would be one)"


def _value(btf: Btf, whole: Struct, values: Mapping[str, object], programs: Mapping[str, KernelProgram]) -> bytes:
    """The map's value: zeros, but for the members that are given."""
    data = next(one for one in whole.members if one.name == "data")
    inner = btf.type(btf.resolve(data.type))
    assert isinstance(inner, Struct)
    out = bytearray(whole.size)
    members = {one.name: one for one in inner.members}
    for name, value in (*values.items(), *((name, program.handle) for name, program in programs.items())):
        if name not in members:
            raise Error(f"The operations have no member `{name}`; they have: {', '.join(members)}.")
        at = (data.bit_offset + members[name].bit_offset) // 8
        raw = member_bytes(btf, name, members[name].type, value)
        out[at : at + len(raw)] = raw
    return bytes(out)


def member_bytes(btf: Btf, name: str, type: int, value: object) -> bytes:
    """The bytes of a member of operations. Raises Error for a value that does not fit."""
    found = btf.type(btf.resolve(type))
    if isinstance(value, bytes) and len(value) == btf.size_of(type):
        return value
    if isinstance(found, Array) and isinstance(value, str | bytes):
        raw = value.encode() if isinstance(value, str) else value
        if len(raw) >= found.length:
            raise Error(f"`{name}` takes at most {found.length - 1} bytes, and {value!r} has {len(raw)}.")
        return raw.ljust(found.length, b"\0")
    if isinstance(found, Int | Ptr) and isinstance(value, int):
        size = found.size if isinstance(found, Int) else 8
        try:
            return value.to_bytes(size, sys.byteorder, signed=value < 0)
        except OverflowError:
            raise Error(f"`{name}` has {8 * size} bits, and {value} does not fit.") from None
    raise Error(f"`{name}` of the operations cannot be {value!r}: programs, integers and texts can be given.")
