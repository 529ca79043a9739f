"""purebpf: eBPF in pure Python.

Import it as `bpf`: decorators (`@bpf.xdp`), types (`bpf.u32`), maps (`bpf.Hash`), records (`@bpf.struct`), and the kernel's
constants by their own names (`bpf.XDP_PASS`).
"""

from __future__ import annotations

from typing import Any

from purebpf.collection import Collection, set_default_engine, trace_pipe
from purebpf.errors import AssemblerError, CompileError, Error, KernelError, NotLoaded, Unsupported, VerifierError, VmError
from purebpf.lang.contexts import (
    Packet,
    PerfEventContext,
    RawTracepointContext,
    SocketFilterContext,
    TcAction,
    TcContext,
    TracepointContext,
    XdpAction,
    XdpContext,
)
from purebpf.lang.idioms import cpu, current, every, helpers, ktime, license, printk, random, redirect
from purebpf.lang.maps import Array, DevMap, Hash, LruHash, PerCpuArray, PerCpuHash, PerfEventArray, ProgArray
from purebpf.lang.records import array, bits, chars, struct
from purebpf.lang.records import bytes_ as bytes  # noqa: F401  as bpf.bytes; not in __all__, where it would hide the builtin
from purebpf.lang.scalars import be16, be32, be64, s8, s16, s32, s64, u8, u16, u32, u64
from purebpf.program import Attachment, Program, load, perf_event, raw_tracepoint, socket_filter, tc, tracepoint, xdp

__version__ = "0.1.0"

__all__ = [
    "Array",
    "AssemblerError",
    "Attachment",
    "Collection",
    "CompileError",
    "DevMap",
    "Error",
    "Hash",
    "KernelError",
    "LruHash",
    "NotLoaded",
    "Packet",
    "PerCpuArray",
    "PerCpuHash",
    "PerfEventArray",
    "PerfEventContext",
    "ProgArray",
    "Program",
    "RawTracepointContext",
    "SocketFilterContext",
    "TcAction",
    "TcContext",
    "TracepointContext",
    "Unsupported",
    "VerifierError",
    "VmError",
    "XdpAction",
    "XdpContext",
    "array",
    "be16",
    "be32",
    "be64",
    "bits",
    "chars",
    "cpu",
    "current",
    "every",
    "helpers",
    "ktime",
    "license",
    "load",
    "perf_event",
    "printk",
    "random",
    "raw_tracepoint",
    "redirect",
    "s8",
    "s16",
    "s32",
    "s64",
    "set_default_engine",
    "socket_filter",
    "struct",
    "tc",
    "trace_pipe",
    "tracepoint",
    "u8",
    "u16",
    "u32",
    "u64",
    "xdp",
]


def __getattr__(name: str) -> Any:
    """UAPI constants by their own names (`bpf.XDP_PASS`), from the generated table."""
    if name.isupper():
        from purebpf.tables.constants import constant

        value = constant(name)
        if value is not None:
            return value
    raise AttributeError(f"module 'purebpf' has no attribute '{name}'")
