"""Operations of the kernel as an object file has them: a struct's bytes, and programs for some of its members.

The file's struct may be another than this kernel's: members are matched by name, and may lack here only where they are zero.
"""

from __future__ import annotations

from collections.abc import Mapping

from purebpf.btf.names import essential_name
from purebpf.btf.reader import Btf
from purebpf.btf.running import kernel_btf
from purebpf.btf.types import Member, Ptr, Struct
from purebpf.errors import Error, Unsupported
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.struct_ops import LINK, StructOpsMap
from purebpf.spec import MapSpec


def made(spec: MapSpec, programs: Mapping[str, KernelProgram]) -> StructOpsMap:
    """The operations in the kernel, not registered yet where they go by a link. `programs` are those loaded, by name. Raises
    Error for a program that is not there and for a value that this kernel's struct has no room for."""
    assert spec.types is not None
    local = Btf(spec.types.btf, origin=f"the types of the operations {spec.name!r}")
    struct = local.type(local.resolve(spec.types.value))
    assert isinstance(struct, Struct)
    name = essential_name(struct.name)
    there = _members(name)
    ((_, content),) = spec.contents
    implemented = {int.from_bytes(key, local.byteorder): program for key, program in spec.entries}
    values: dict[str, object] = {}
    chosen: dict[str, KernelProgram] = {}
    for member, end in zip(struct.members, _ends(struct), strict=True):
        at = member.bit_offset // 8
        if at in implemented and isinstance(local.type(local.resolve(member.type)), Ptr):
            chosen[member.name] = _program(spec, implemented[at], programs)
        elif any(content[at:end]):
            if member.name not in there:
                raise Unsupported(
                    f"The operations {spec.name!r} set `{member.name}`, which this kernel's `{name}` does not have."
                )
            values[member.name] = content[at : at + local.size_of(member.type)]
    return StructOpsMap(spec.name, name, values, chosen, bool(spec.flags & LINK))


def _ends(struct: Struct) -> list[int]:
    """Where members end: at the next one's byte, the last at the struct's."""
    return [*(member.bit_offset // 8 for member in struct.members[1:]), struct.size]


def _members(name: str) -> dict[str, Member]:
    btf = kernel_btf()
    for number in btf.types_named(name, Struct.kind):
        found = btf.type(number)
        if isinstance(found, Struct):
            return {member.name: member for member in found.members}
    raise Unsupported(f"This kernel has no operations `{name}`.")


def _program(spec: MapSpec, name: str, programs: Mapping[str, KernelProgram]) -> KernelProgram:
    if name not in programs:
        raise Error(f"The operations {spec.name!r} are implemented by the program {name!r}, which is not loaded.")
    return programs[name]
