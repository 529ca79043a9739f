"""purebpf: eBPF in pure Python.

Import it as `bpf`: decorators (`@bpf.xdp`), types (`bpf.u32`), maps (`bpf.Hash`), records (`@bpf.struct`), and the kernel's
constants by their own names (`bpf.XDP_PASS`).
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as `typing` names it, whose import takes longer than that of all purebpf
if TYPE_CHECKING:
    from typing import Any

    from purebpf.collection import Collection, set_default_btf, set_default_engine, trace_pipe
    from purebpf.elf.linker.link import link_objects
    from purebpf.elf.reader import load_object
    from purebpf.elf.writing.write import write_object
    from purebpf.errors import AssemblerError, CompileError, Error, KernelError, NotLoaded, Unsupported, VerifierError, VmError
    from purebpf.iterators import iter as iter  # not in __all__, as `bytes`
    from purebpf.kernel.objects.statistics import statistics
    from purebpf.kernel.xsk import XskSocket
    from purebpf.lang.atomic import atomic
    from purebpf.lang.contexts import (
        IterContext,
        LircContext,
        Packet,
        PerfEventContext,
        ProbeContext,
        RawTracepointContext,
        SocketFilterContext,
        StructOpsContext,
        SyscallContext,
        TcAction,
        TcContext,
        TracepointContext,
        TracingContext,
        XdpAction,
        XdpContext,
    )
    from purebpf.lang.data import config, globals_
    from purebpf.lang.dynptrs import Dynptr, dynptr
    from purebpf.lang.graphs import List, ListNode, RbNode, RbTree, drop, new
    from purebpf.lang.idioms import (
        cookie,
        cpu,
        current,
        every,
        helpers,
        ktime,
        license,
        loop,
        printk,
        random,
        raw,
        redirect,
        returning,
    )
    from purebpf.lang.kernel_structs import KernelStruct, KernelUnion, pointer
    from purebpf.lang.kernel_types import enum_value, type_exists
    from purebpf.lang.kfuncs import kfunc_exists, kfuncs
    from purebpf.lang.kptrs import Kptr
    from purebpf.lang.layout import exists, from_bytes, offsetof, sizeof, to_bytes
    from purebpf.lang.locks import SpinLock, Timer, rcu
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
    from purebpf.lang.maps.arena import Arena
    from purebpf.lang.maps.inbox import UserRingBuf
    from purebpf.lang.maps.lpm import LpmTrie, Network4, Network6
    from purebpf.lang.maps.nested import ArrayOfMaps, HashOfMaps
    from purebpf.lang.maps.queues import BloomFilter, Queue, Stack
    from purebpf.lang.maps.storage import (
        AttachedCgroupStorage,
        CgroupStorage,
        InodeStorage,
        PerCpuAttachedCgroupStorage,
        SkStorage,
        TaskStorage,
    )
    from purebpf.lang.network_contexts import (
        CgroupDeviceContext,
        CgroupSkbContext,
        CgroupSockContext,
        FlowDissectorContext,
        LwtContext,
        NetfilterContext,
        SkLookupContext,
        SkMsgContext,
        SkReuseportContext,
        SkSkbContext,
        SockAddrContext,
        SockOpsContext,
        SockoptContext,
        SysctlContext,
    )
    from purebpf.lang.reading import read_kernel, read_kernel_str, read_user, read_user_str
    from purebpf.lang.records import array, bits, bytes_, chars, struct
    from purebpf.lang.rings import RingBuf
    from purebpf.lang.scalars import be16, be32, be64, s8, s16, s32, s64, u8, u16, u32, u64
    from purebpf.lang.several import events
    from purebpf.lang.sockets import SockTuple, SockTuple6
    from purebpf.lang.stacks import BuildIdStackTrace, StackTrace, get_stack, stack
    from purebpf.lang.subprograms import global_subprogram
    from purebpf.lang.sums import checksum, checksum_update, jhash
    from purebpf.lang.unions import union
    from purebpf.networking import (
        cgroup_device,
        cgroup_skb,
        cgroup_sock,
        cgroup_sock_addr,
        cgroup_sockopt,
        cgroup_sysctl,
        flow_dissector,
        lwt_in,
        lwt_out,
        lwt_seg6local,
        lwt_xmit,
        netfilter,
        sk_lookup,
        sk_msg,
        sk_reuseport,
        sk_skb,
        sockops,
    )
    from purebpf.operations import StructOps, register, struct_ops
    from purebpf.probes import (
        freplace,
        kprobe,
        kprobe_session,
        kretprobe,
        kretsyscall,
        ksyscall,
        raw_tracepoint,
        uprobe,
        uprobe_session,
        uretprobe,
        usdt,
    )
    from purebpf.program import (
        Attachment,
        Program,
        fentry,
        fexit,
        fmod_ret,
        lirc_mode2,
        load,
        lsm,
        lsm_cgroup,
        perf_event,
        socket_filter,
        syscall,
        tc,
        tp_btf,
        tracepoint,
    )
    from purebpf.xdp_programs import xdp

    bytes, globals = bytes_, globals_  # not in __all__, where they would hide the builtins

__version__ = "0.1.0"

_EXPORTS = {  # module: the names it gives, imported when they are first used
    "elf.reader": "load_object",
    "collection": "Collection set_default_btf set_default_engine trace_pipe",
    "elf.linker.link": "link_objects",
    "errors": "AssemblerError CompileError Error KernelError NotLoaded Unsupported VerifierError VmError",
    "kernel.objects.statistics": "statistics",
    "kernel.xsk": "XskSocket",
    "lang.atomic": "atomic",
    "lang.contexts": "IterContext LircContext Packet PerfEventContext ProbeContext RawTracepointContext SocketFilterContext "
    "StructOpsContext SyscallContext TcAction TcContext TracepointContext TracingContext XdpAction XdpContext",
    "lang.data": "config globals=globals_",
    "lang.dynptrs": "Dynptr dynptr",
    "lang.graphs": "List ListNode RbNode RbTree drop new",
    "lang.idioms": "cookie cpu current every helpers ktime license loop printk random raw redirect returning",
    "lang.kernel_structs": "KernelStruct KernelUnion pointer",
    "lang.kfuncs": "kfunc_exists kfuncs",
    "lang.kernel_types": "enum_value type_exists",
    "lang.kptrs": "Kptr",
    "lang.layout": "exists from_bytes offsetof sizeof to_bytes",
    "lang.locks": "SpinLock Timer rcu",
    "lang.maps": "Array CgroupArray CpuMap DevMap DevMapHash Hash LruHash LruPerCpuHash PerCpuArray PerCpuHash PerfEventArray "
    "ProgArray ReusePortSockArray SockHash SockMap XskMap",
    "lang.network_contexts": "CgroupDeviceContext CgroupSkbContext CgroupSockContext FlowDissectorContext LwtContext "
    "NetfilterContext SkLookupContext SkMsgContext SkReuseportContext SkSkbContext SockAddrContext SockOpsContext "
    "SockoptContext SysctlContext",
    "lang.maps.arena": "Arena",
    "lang.maps.inbox": "UserRingBuf",
    "lang.maps.lpm": "LpmTrie Network4 Network6",
    "lang.maps.nested": "ArrayOfMaps HashOfMaps",
    "lang.maps.queues": "BloomFilter Queue Stack",
    "lang.maps.storage": "AttachedCgroupStorage CgroupStorage InodeStorage PerCpuAttachedCgroupStorage SkStorage TaskStorage",
    "lang.reading": "read_kernel read_kernel_str read_user read_user_str",
    "lang.records": "array bits chars struct bytes=bytes_",
    "lang.rings": "RingBuf",
    "lang.sockets": "SockTuple SockTuple6",
    "lang.several": "events",
    "lang.stacks": "BuildIdStackTrace StackTrace get_stack stack",
    "lang.scalars": "be16 be32 be64 s8 s16 s32 s64 u8 u16 u32 u64",
    "lang.subprograms": "global_subprogram",
    "lang.sums": "checksum checksum_update jhash",
    "lang.unions": "union",
    "elf.writing.write": "write_object",
    "iterators": "iter",
    "networking": "cgroup_device cgroup_skb cgroup_sock cgroup_sock_addr cgroup_sockopt cgroup_sysctl flow_dissector lwt_in "
    "lwt_out lwt_seg6local lwt_xmit netfilter sk_lookup sk_msg sk_reuseport sk_skb sockops",
    "probes": "freplace kprobe kprobe_session kretprobe kretsyscall ksyscall raw_tracepoint uprobe uprobe_session uretprobe "
    "usdt",
    "operations": "StructOps register struct_ops",
    "xdp_programs": "xdp",
    "program": "Attachment Program fentry fexit fmod_ret lirc_mode2 load lsm lsm_cgroup perf_event socket_filter syscall tc "
    "tp_btf tracepoint",
}

__all__ = [
    "Arena",
    "Array",
    "ArrayOfMaps",
    "AssemblerError",
    "AttachedCgroupStorage",
    "Attachment",
    "BloomFilter",
    "BuildIdStackTrace",
    "CgroupArray",
    "CgroupDeviceContext",
    "CgroupSkbContext",
    "CgroupSockContext",
    "CgroupStorage",
    "Collection",
    "CompileError",
    "CpuMap",
    "DevMap",
    "DevMapHash",
    "Dynptr",
    "Error",
    "FlowDissectorContext",
    "Hash",
    "HashOfMaps",
    "InodeStorage",
    "IterContext",
    "KernelError",
    "KernelStruct",
    "KernelUnion",
    "Kptr",
    "LircContext",
    "List",
    "ListNode",
    "LpmTrie",
    "LruHash",
    "LruPerCpuHash",
    "LwtContext",
    "NetfilterContext",
    "Network4",
    "Network6",
    "NotLoaded",
    "Packet",
    "PerCpuArray",
    "PerCpuAttachedCgroupStorage",
    "PerCpuHash",
    "PerfEventArray",
    "PerfEventContext",
    "ProbeContext",
    "ProgArray",
    "Program",
    "Queue",
    "RawTracepointContext",
    "RbNode",
    "RbTree",
    "ReusePortSockArray",
    "RingBuf",
    "SkLookupContext",
    "SkMsgContext",
    "SkReuseportContext",
    "SkSkbContext",
    "SkStorage",
    "SockAddrContext",
    "SockHash",
    "SockMap",
    "SockOpsContext",
    "SockTuple",
    "SockTuple6",
    "SocketFilterContext",
    "SockoptContext",
    "SpinLock",
    "Stack",
    "StackTrace",
    "StructOps",
    "StructOpsContext",
    "SyscallContext",
    "SysctlContext",
    "TaskStorage",
    "TcAction",
    "TcContext",
    "Timer",
    "TracepointContext",
    "TracingContext",
    "Unsupported",
    "UserRingBuf",
    "VerifierError",
    "VmError",
    "XdpAction",
    "XdpContext",
    "XskMap",
    "XskSocket",
    "array",
    "atomic",
    "be16",
    "be32",
    "be64",
    "bits",
    "cgroup_device",
    "cgroup_skb",
    "cgroup_sock",
    "cgroup_sock_addr",
    "cgroup_sockopt",
    "cgroup_sysctl",
    "chars",
    "checksum",
    "checksum_update",
    "config",
    "cookie",
    "cpu",
    "current",
    "drop",
    "dynptr",
    "enum_value",
    "events",
    "every",
    "exists",
    "fentry",
    "fexit",
    "flow_dissector",
    "fmod_ret",
    "freplace",
    "from_bytes",
    "get_stack",
    "global_subprogram",
    "helpers",
    "jhash",
    "kfunc_exists",
    "kfuncs",
    "kprobe",
    "kprobe_session",
    "kretprobe",
    "kretsyscall",
    "ksyscall",
    "ktime",
    "license",
    "link_objects",
    "lirc_mode2",
    "load",
    "load_object",
    "loop",
    "lsm",
    "lsm_cgroup",
    "lwt_in",
    "lwt_out",
    "lwt_seg6local",
    "lwt_xmit",
    "netfilter",
    "new",
    "offsetof",
    "perf_event",
    "pointer",
    "printk",
    "random",
    "raw",
    "raw_tracepoint",
    "rcu",
    "read_kernel",
    "read_kernel_str",
    "read_user",
    "read_user_str",
    "redirect",
    "register",
    "returning",
    "s8",
    "s16",
    "s32",
    "s64",
    "set_default_btf",
    "set_default_engine",
    "sizeof",
    "sk_lookup",
    "sk_msg",
    "sk_reuseport",
    "sk_skb",
    "socket_filter",
    "sockops",
    "stack",
    "statistics",
    "struct",
    "struct_ops",
    "syscall",
    "tc",
    "to_bytes",
    "tp_btf",
    "trace_pipe",
    "tracepoint",
    "type_exists",
    "u8",
    "u16",
    "u32",
    "u64",
    "union",
    "uprobe",
    "uprobe_session",
    "uretprobe",
    "usdt",
    "write_object",
    "xdp",
]


if TYPE_CHECKING:

    def __getattr__(name: str) -> int:
        """What is not above is a UAPI constant."""

else:

    def __getattr__(name: str) -> Any:
        """The public names, each imported with its module when first used; UAPI constants by their own names."""
        for module, names in _EXPORTS.items():
            for export in names.split():
                known, _, original = export.partition("=")
                if known == name:
                    value = getattr(import_module(f"purebpf.{module}"), original or known)
                    setattr(import_module(__name__), name, value)  # `globals()` would be ours
                    return value
        if name in ("net", "vmlinux"):  # modules that programs use names of, whether or not something has imported them
            return import_module(f"purebpf.{name}")
        if name.isupper():
            from purebpf.tables.constants import constant

            number = constant(name)
            if number is not None:
                return number
        near = ""
        if not name.startswith("_"):
            from difflib import get_close_matches

            plain = {other.lower(): other for other in __all__}
            near = "".join(f"; did you mean '{plain[other]}'?" for other in get_close_matches(name.lower(), plain, 1))
        raise AttributeError(f"module 'purebpf' has no attribute '{name}'{near}", name="", obj=None)  # else Python guesses, too


def __dir__() -> list[str]:
    return sorted(__all__)
