"""Maps of network interfaces."""

from __future__ import annotations

from purebpf.lang.idioms import _only_in_a_program
from purebpf.lang.maps.keyed import KeyedMap
from purebpf.tables.enums import MapType


class DevMap(KeyedMap[int, int]):
    """Network interfaces by index, for `redirect` (BPF_MAP_TYPE_DEVMAP, Linux 4.14). Values are interface indexes; 0 means
    none."""

    kind = MapType.DEVMAP
    parameters = 0

    def redirect(self, index: int, flags: int = 0) -> int:
        """Send the packet out of the interface at an index; return its result from an XDP program (helper redirect_map). The
        low bits of `flags` are the result where there is none."""
        _only_in_a_program("DevMap.redirect()")
