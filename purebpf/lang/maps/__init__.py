"""Maps as an author declares them: one object on both sides.

In a program a map is what the compiler makes of it; in user space it is a mapping, once a collection that uses it is loaded.
The declaration describes itself as a `MapSpec`; `collection.py` binds it to the engine's live map.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from purebpf.lang.maps.declaration import KEY32, MapDeclaration
    from purebpf.lang.maps.devices import CpuMap, DevMap, DevMapHash, Held, Targets, XskMap
    from purebpf.lang.maps.events import EventMap, PerfEventArray
    from purebpf.lang.maps.keyed import KeyedMap
    from purebpf.lang.maps.kinds import Array, Hash, LruHash, LruPerCpuHash, PerCpuArray, PerCpuHash
    from purebpf.lang.maps.percpu import PerCpuMap, PerCpuValue
    from purebpf.lang.maps.programs import ProgArray
    from purebpf.lang.maps.sockets import CgroupArray, ReusePortSockArray, Sockets, SockHash, SockMap, StreamSockets

_EXPORTS = {  # imported with their modules when first used
    "declaration": "KEY32 MapDeclaration",
    "devices": "CpuMap DevMap DevMapHash Held Targets XskMap",
    "events": "EventMap PerfEventArray",
    "keyed": "KeyedMap",
    "kinds": "Array Hash LruHash LruPerCpuHash PerCpuArray PerCpuHash",
    "percpu": "PerCpuMap PerCpuValue",
    "programs": "ProgArray",
    "sockets": "CgroupArray ReusePortSockArray Sockets SockHash SockMap StreamSockets",
}
_MODULES = {name: module for module, names in _EXPORTS.items() for name in names.split()}

__all__ = [
    "KEY32",
    "Array",
    "CgroupArray",
    "CpuMap",
    "DevMap",
    "DevMapHash",
    "EventMap",
    "Hash",
    "Held",
    "KeyedMap",
    "LruHash",
    "LruPerCpuHash",
    "MapDeclaration",
    "PerCpuArray",
    "PerCpuHash",
    "PerCpuMap",
    "PerCpuValue",
    "PerfEventArray",
    "ProgArray",
    "ReusePortSockArray",
    "SockHash",
    "SockMap",
    "Sockets",
    "StreamSockets",
    "Targets",
    "XskMap",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module 'purebpf.lang.maps' has no attribute '{name}'")
        value = getattr(import_module(f"purebpf.lang.maps.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
