"""Maps as an author declares them: one object on both sides.

In a program a map is what the compiler makes of it; in user space it is a mapping, once a collection that uses it is loaded.
The declaration describes itself as a `MapSpec`; `collection.py` binds it to the engine's live map.
"""

from purebpf.lang.maps.declaration import KEY32, MapDeclaration
from purebpf.lang.maps.devices import CpuMap, DevMap, DevMapHash, Held, Targets, XskMap
from purebpf.lang.maps.events import EventMap, PerfEventArray
from purebpf.lang.maps.keyed import KeyedMap
from purebpf.lang.maps.kinds import Array, Hash, LruHash, LruPerCpuHash, PerCpuArray, PerCpuHash
from purebpf.lang.maps.percpu import PerCpuMap, PerCpuValue
from purebpf.lang.maps.programs import ProgArray
from purebpf.lang.maps.sockets import CgroupArray, ReusePortSockArray, Sockets, SockHash, SockMap, StreamSockets

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
