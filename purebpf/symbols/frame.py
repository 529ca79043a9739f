"""One frame of a call stack, told in words; and what every source of names has: `frame` and `frames`."""

from __future__ import annotations

import os
from collections.abc import Iterable

from purebpf.data import data


@data
class Frame:
    """An address and where it lies. `name` is the function's, "" where none is known; `offset` the bytes from its start, or,
    without a name, from the start of the file. `module` is a file's path, "[kernel]", a kernel module as "[nf_tables]",
    "[vdso]", "[jit]", or "" where nothing is known of the address.
    """

    address: int
    name: str = ""
    module: str = ""
    offset: int = 0

    @property
    def kernel(self) -> bool:
        """Whether it is in the kernel: addresses of its half begin with a one."""
        return bool(self.address >> 63)

    @property
    def label(self) -> str:
        """As it stands in a flame graph: the name; else the module and the offset in it; else [unknown]. Frames of the kernel
        end in _[k], those of a JIT compiler in _[j], as tools for flame graphs have it."""
        if self.name:
            return self.name + ("_[k]" if self.kernel else "_[j]" if self.module == "[jit]" else "")
        if self.kernel:
            return "[unknown]_[k]"
        if self.module.startswith("["):
            return self.module
        return f"[{os.path.basename(self.module)}+{self.offset:#x}]" if self.module else "[unknown]"

    def __str__(self) -> str:
        where = f" ({self.module})" if self.module else ""
        if not self.name:
            return f"{self.address:#x}" + (f" ({self.module}+{self.offset:#x})" if self.module else " (unknown)")
        return f"{self.name}+{self.offset:#x}{where}"


class Source:
    """Gives frames for addresses, each found out once."""

    MOST = 1 << 17  # addresses remembered

    def __init__(self) -> None:
        self._known: dict[int, Frame] = {}

    def frame(self, address: int) -> Frame:
        """Where an instruction at this address is."""
        found = self._known.get(address)
        if found is None:
            if len(self._known) >= self.MOST:
                self._known.clear()
            found = self._known[address] = self._find(address)
        return found

    def frames(self, addresses: Iterable[int]) -> list[Frame]:
        """A call stack, innermost first. All but the first are return addresses, so the call is looked up, which is before
        them: the next instruction may belong to another function."""
        found = []
        for position, address in enumerate(addresses):
            if position == 0:
                found.append(self.frame(address))
            else:
                call = self.frame(address - 1)
                found.append(Frame(address, call.name, call.module, call.offset + 1))
        return found

    def _find(self, address: int) -> Frame:
        raise NotImplementedError
