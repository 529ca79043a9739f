"""BTF that is in the kernel, by its id."""

from __future__ import annotations

from purebpf.kernel.attr import read
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.info import read_info
from purebpf.kernel.objects.ids import ids, open_id
from purebpf.kernel.objects.reading import array, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.reader import Btf

LAYOUT = "bpf_btf_info"


def btf_of(number: int) -> Btf | None:
    """The types; None when there is no such BTF (any more). Those of a module stand on the kernel's own."""
    from purebpf.btf.reader import Btf

    found = open_id("BTF", number) if number else None
    if found is None:
        return None
    with found:
        if read(LAYOUT, read_info(found, LAYOUT), "kernel_btf"):
            from purebpf.btf.running import kernel_btf, module_btf

            name = text(found, LAYOUT, "name", "name_len")
            return module_btf(name) if name not in ("", "vmlinux") else kernel_btf()
        data = array(found, LAYOUT, "btf", "btf_size")
        return Btf(data, origin=f"BTF {number}") if data else None


class Users:
    """Which programs and maps use each BTF, by its id."""

    def __init__(self) -> None:
        self.programs: dict[int, list[int]] = {}
        self.maps: dict[int, list[int]] = {}
        for kind, layout, found in (("program", "bpf_prog_info", self.programs), ("map", "bpf_map_info", self.maps)):
            for number in ids(kind):
                one = open_id(kind, number)
                if one is not None:
                    with one:
                        found.setdefault(read(layout, read_info(one, layout), "btf_id"), []).append(number)


def describe(descriptor: Descriptor, users: Users) -> dict[str, object]:
    """By the keys of `bpftool btf show -j`, in its order."""
    info = read_info(descriptor, LAYOUT)
    kernel = bool(read(LAYOUT, info, "kernel_btf"))
    number = read(LAYOUT, info, "id")
    found: dict[str, object] = {"id": number, "size": read(LAYOUT, info, "btf_size")}
    found |= {"prog_ids": users.programs.get(number, []), "map_ids": users.maps.get(number, []), "kernel": kernel}
    if kernel:
        found["name"] = text(descriptor, LAYOUT, "name", "name_len")
    return found
