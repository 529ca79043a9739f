"""What packages that `purebpf gen` writes are made of: programs compiled elsewhere, with typed maps, variables and links.

    with PacketCount() as counter:              # opened: nothing is in the kernel yet
        counter.variables.settings.limit = 3    # constants are told now
        counter.load()                          # into the kernel, or where that is not permitted into the virtual machine
        counter.attach(count="eth0")            # the others by what they themselves say
        print(counter.maps.traffic.sums())      # leaving the block detaches and unloads all

The compiler is not imported. `docs/packages.md` tells more.
"""

from __future__ import annotations

from builtins import bool

from purebpf.lang.fixed import enum, kernel, record, text
from purebpf.lang.records import array, chars
from purebpf.lang.records import bytes_ as bytes
from purebpf.lang.scalars import be16, be32, be64, s8, s16, s32, s64, u8, u16, u32, u64
from purebpf.skeleton.base import Skeleton
from purebpf.skeleton.content import Content
from purebpf.skeleton.named import Named
from purebpf.skeleton.programs import Program
from purebpf.skeleton.variables import Variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.engine import EngineLink as Link
    from purebpf.lang.maps import (
        Array,
        CgroupArray,
        CpuMap,
        DevMap,
        DevMapHash,
        Hash,
        LruHash,
        LruPerCpuHash,
        PerCpuArray,
        PerCpuHash,
        PerfEventArray,
        ProgArray,
        ReusePortSockArray,
        SockHash,
        SockMap,
        XskMap,
    )
    from purebpf.lang.maps import MapDeclaration as Map
    from purebpf.lang.maps.arena import Arena
    from purebpf.lang.maps.inbox import UserRingBuf
    from purebpf.lang.maps.lpm import LpmTrie, Network4, Network6
    from purebpf.lang.maps.nested import ArrayOfMaps, HashOfMaps
    from purebpf.lang.maps.queues import BloomFilter, Queue, Stack
    from purebpf.lang.maps.raw import RawPerfEventArray, RawRingBuf, RawUserRingBuf
    from purebpf.lang.maps.storage import (
        AttachedCgroupStorage,
        CgroupStorage,
        InodeStorage,
        PerCpuAttachedCgroupStorage,
        SkStorage,
        TaskStorage,
    )
    from purebpf.lang.rings import RingBuf
    from purebpf.lang.stacks import BuildIdStackTrace, StackTrace
    from purebpf.skeleton.record import Record

__all__ = [
    "Arena",
    "Array",
    "ArrayOfMaps",
    "AttachedCgroupStorage",
    "BloomFilter",
    "BuildIdStackTrace",
    "CgroupArray",
    "CgroupStorage",
    "Content",
    "CpuMap",
    "DevMap",
    "DevMapHash",
    "Hash",
    "HashOfMaps",
    "InodeStorage",
    "Link",
    "LpmTrie",
    "LruHash",
    "LruPerCpuHash",
    "Map",
    "Named",
    "Network4",
    "Network6",
    "PerCpuArray",
    "PerCpuAttachedCgroupStorage",
    "PerCpuHash",
    "PerfEventArray",
    "ProgArray",
    "Program",
    "Queue",
    "RawPerfEventArray",
    "RawRingBuf",
    "RawUserRingBuf",
    "Record",
    "ReusePortSockArray",
    "RingBuf",
    "SkStorage",
    "Skeleton",
    "SockHash",
    "SockMap",
    "Stack",
    "StackTrace",
    "TaskStorage",
    "UserRingBuf",
    "Variables",
    "XskMap",
    "array",
    "be16",
    "be32",
    "be64",
    "bool",
    "bytes",
    "chars",
    "enum",
    "kernel",
    "record",
    "s8",
    "s16",
    "s32",
    "s64",
    "text",
    "u8",
    "u16",
    "u32",
    "u64",
]

if not TYPE_CHECKING:

    def __getattr__(name):
        """The keys of tries, which few packages have."""
        if name not in ("Network4", "Network6"):
            raise AttributeError(f"module 'purebpf.skeleton' has no attribute '{name}'")
        from purebpf.lang.maps import lpm

        return getattr(lpm, name)
