"""All that the kernel tells of a map, and its entries, by the keys of bpftool (bpf_map_info; kernel/bpf/syscall.c)."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from purebpf.errors import KernelError
from purebpf.kernel import cpus
from purebpf.kernel.attr import read
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.info import map_info, read_info
from purebpf.kernel.map import KernelMap
from purebpf.kernel.objects.btf import btf_of
from purebpf.kernel.objects.programs import type_name
from purebpf.kernel.objects.reading import fdinfo
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.reader import Btf

LAYOUT = "bpf_map_info"
LAST = 1 << 20  # entries of an array that has no other end


def describe(descriptor: Descriptor) -> dict[str, object]:
    """The map by the keys of `bpftool map show -j`, in its order."""
    info, raw, beside = map_info(descriptor), read_info(descriptor, LAYOUT), fdinfo(descriptor)
    found: dict[str, object] = {"id": info.id, "type": map_type_name(info.type)}
    if info.name:
        found["name"] = info.name
    found |= {"flags": info.flags, "bytes_key": info.key_size, "bytes_value": info.value_size, "max_entries": info.max_entries}
    if "memlock" in beside:
        found["bytes_memlock"] = int(beside["memlock"])
    if info.type == MapType.PROG_ARRAY and (owner := int(beside.get("owner_prog_type", 0))):
        found |= {"owner_prog_type": type_name(owner), "owner_jited": beside.get("owner_jited", "0") != "0"}
    found["frozen"] = int(beside.get("frozen", 0))
    if number := read(LAYOUT, raw, "btf_id"):
        found["btf_id"] = number
    return found


def map_type_name(number: int) -> object:
    try:
        return MapType(number).name.lower()
    except ValueError:
        return number


def open_map(descriptor: Descriptor) -> KernelMap:
    """The map of a descriptor, to be read and written."""
    info = map_info(descriptor)
    kind = MapType(info.type)
    spec = MapSpec(info.name, kind, info.key_size, info.value_size, info.max_entries, info.flags)
    return KernelMap(spec, descriptor)


class Entries:
    """The entries of a map as rows of `bpftool map dump -j`: hexadecimal bytes, and with BTF what they mean."""

    def __init__(self, map: KernelMap) -> None:
        self.map = map
        raw = read_info(map.descriptor, LAYOUT)
        self._types: Btf | None = btf_of(read(LAYOUT, raw, "btf_id"))
        self._key, self._value = (read(LAYOUT, raw, f"btf_{side}_type_id") for side in ("key", "value"))

    def __iter__(self) -> Iterator[dict[str, object]]:
        for key in iter(self.map.keys()):
            row: dict[str, object] = {"key": _hex(key)}
            try:
                value = self.map.lookup(key)
            except KernelError as error:
                yield row | {"value": {"error": _reason(error.errno or 0)}}
                continue
            if value is not None:
                yield row | self._told(key, value)

    def _told(self, key: bytes, value: bytes) -> dict[str, object]:
        """The value, or those of each CPU."""
        if not self.map.spec.per_cpu:
            found: dict[str, object] = {"value": _hex(value)}
            if self.readable:
                found["formatted"] = {"key": self.meaning(self._key, key), "value": self.meaning(self._value, value)}
            return found
        each = self._each(value)
        found = {"values": [{"cpu": cpu, "value": _hex(one)} for cpu, one in enumerate(each)]}
        if self.readable:
            values = [{"cpu": cpu, "value": self.meaning(self._value, one)} for cpu, one in enumerate(each)]
            found["formatted"] = {"key": self.meaning(self._key, key), "values": values}
        return found

    def _each(self, value: bytes) -> list[bytes]:
        size = self.map.spec.value_size
        step = (size + 7) // 8 * 8
        return [value[at * step : at * step + size] for at in range(cpus.possible())]

    @property
    def readable(self) -> bool:
        """Whether the map says what is in it."""
        return self._types is not None and bool(self._value)

    def meaning(self, number: int, data: bytes) -> object:
        """Bytes as their type has them; a key of an array has none of its own."""
        if self._types is None or not number:
            return int.from_bytes(data, "little")
        return self._types.value(number, data, network=False)  # as bpftool does


def _hex(data: bytes) -> list[str]:
    return [f"0x{byte:02x}" for byte in data]


def _reason(number: int) -> str:
    """What stands in place of a value that cannot be read."""
    return {errno.EPERM: "Operation not permitted", errno.EOPNOTSUPP: "Operation not supported"}.get(number, f"errno {number}")
