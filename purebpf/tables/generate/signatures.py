"""From a helper's C prototype to what each argument and the result mean to a compiler and to a virtual machine.

Names and types in `linux/bpf.h` are regular enough for rules. What they do not say (which pointers are sockets, which texts
must be constant, which calls take a reference) is in `EXCEPTIONS` and `RESULTS`, from the `bpf_func_proto`s in
kernel/bpf/helpers.c, net/core/filter.c and kernel/trace/bpf_trace.c. What can be measured (writable, nullable, zero size) is
measured by `arguments.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from purebpf.tables.generate.uapi import Prototype

WIDTHS = {
    "u8": (8, False), "u16": (16, False), "u32": (32, False), "u64": (64, False), "s32": (32, True), "s64": (64, True),
    "int": (32, True), "long": (64, True), "size_t": (64, False), "__be16": (16, False), "__be32": (32, False),
    "__wsum": (32, False),
}  # fmt: skip

SIZE_NAME = re.compile(r"(\w+_)?(size|len|sz)|size_of_buf|optlen|plen")

# pointer types that are always the program's context
CONTEXTS = {
    "sk_buff", "xdp_buff", "sk_msg_buff", "bpf_sock_ops", "bpf_sock_addr", "bpf_sysctl", "sk_reuseport_md", "pt_regs",
    "bpf_perf_event_data", "bpf_sk_lookup",
}  # fmt: skip
SOCKET_TYPES = {"bpf_sock", "tcp_sock"}
BTF_TYPES = {"task_struct", "seq_file", "path", "inode", "file", "linux_binprm", "cgroup"}


@dataclass(frozen=True, slots=True)
class Draft:
    """An argument so far. Field names are those of `helpers.Arg`."""

    name: str
    c_type: str
    kind: str
    width: int = 64
    signed: bool = False
    pair: int | None = None
    size: int | None = None
    pointee: str = ""
    reads: bool = False
    writes: bool = False
    nullable: bool = False
    zero: bool = False
    constant: bool = False
    releases: bool = False
    elsewhere: str = ""


# (helper, argument) -> what to change in the draft
EXCEPTIONS: dict[tuple[str, str], dict[str, object]] = {
    **{(f"{name}_output", "ctx"): {"kind": "btf", "pointee": of} for name, of in (("skb", "sk_buff"), ("xdp", "xdp_buff"))},
    **{(name, "ctx"): {"kind": "context"} for name in ("get_func_arg", "get_func_ret", "get_func_arg_cnt")},
    **{(name, "bpf_socket"): {"kind": "context", "elsewhere": "socket"} for name in ("setsockopt", "getsockopt")},
    ("get_socket_cookie", "skb"): {"name": "ctx", "c_type": "void *", "elsewhere": "socket"},
    ("get_netns_cookie", "ctx"): {"nullable": True},
    ("xdp_get_buff_len", "xdp_md"): {"elsewhere": "btf", "pointee": "xdp_buff"},
    ("sk_assign", "skb"): {"name": "ctx", "c_type": "void *"},
    ("sk_assign", "sk"): {"nullable": True},
    ("sk_release", "sock"): {"kind": "socket", "releases": True},
    **{(f"ringbuf_{verb}", "data"): {"kind": "record", "releases": True} for verb in ("submit", "discard")},
    **{(f"ringbuf_{verb}_dynptr", "ptr"): {"releases": True} for verb in ("submit", "discard")},
    **{(name, "ptr"): {"writes": True} for name in ("dynptr_from_mem", "ringbuf_reserve_dynptr")},
    ("ringbuf_reserve", "size"): {"constant": True},
    ("dynptr_data", "len"): {"constant": True},
    **{(name, arg): {"kind": "address"} for name, arg in (
        ("probe_read", "unsafe_ptr"), ("probe_read_str", "unsafe_ptr"), ("probe_read_user", "unsafe_ptr"),
        ("probe_read_kernel", "unsafe_ptr"), ("probe_read_user_str", "unsafe_ptr"), ("probe_read_kernel_str", "unsafe_ptr"),
        ("probe_write_user", "dst"), ("copy_from_user", "user_ptr"), ("copy_from_user_task", "user_ptr"),
    )},
    **{(name, "addr"): {"kind": "address"} for name in ("find_vma",)},
    **{(name, "percpu_ptr"): {"kind": "percpu"} for name in ("per_cpu_ptr", "this_cpu_ptr")},
    ("kptr_xchg", "dst"): {"kind": "kptr_slot"},
    ("kptr_xchg", "ptr"): {"kind": "kptr", "nullable": True, "releases": True},
    ("snprintf", "fmt"): {"kind": "string"},
    ("strncmp", "s2"): {"kind": "string"},
    ("tcp_send_ack", "tp"): {"kind": "btf", "pointee": "tcp_sock"},
    ("inode_storage_get", "inode"): {"kind": "btf", "pointee": "inode"},
    ("inode_storage_delete", "inode"): {"kind": "btf", "pointee": "inode"},
    **{(name, arg): {"size": size} for name, arg, size in (
        ("strtol", "res", 8), ("strtoul", "res", 8), ("kallsyms_lookup_name", "res", 8), ("get_func_arg", "value", 8),
        ("get_func_ret", "value", 8), ("tcp_raw_gen_syncookie_ipv4", "iph", 20),
        ("tcp_raw_gen_syncookie_ipv6", "iph", 40), ("tcp_raw_check_syncookie_ipv4", "iph", 20),
        ("tcp_raw_check_syncookie_ipv6", "iph", 40), ("tcp_raw_check_syncookie_ipv4", "th", 20),
        ("tcp_raw_check_syncookie_ipv6", "th", 20),
    )},
    ("user_ringbuf_drain", "ctx"): {"kind": "callback_context", "nullable": True},
    # behind a kernel pointer that a measuring program cannot have; from the helpers' bpf_func_proto
    ("copy_from_user_task", "dst"): {"writes": True},
    ("copy_from_user_task", "size"): {"zero": True},
    ("get_task_stack", "buf"): {"writes": True},
    ("get_task_stack", "size"): {"zero": True},
    ("seq_printf", "fmt"): {"reads": True},
    ("seq_printf", "data"): {"reads": True, "nullable": True},
    ("seq_printf", "data_len"): {"zero": True},
    ("seq_write", "data"): {"reads": True},
    ("seq_write", "len"): {"zero": True},
    ("seq_printf_btf", "ptr"): {"reads": True},
    ("seq_printf_btf", "ptr_size"): {"zero": True},
    ("d_path", "buf"): {"writes": True},
    ("d_path", "sz"): {"zero": True},
    ("ima_inode_hash", "dst"): {"writes": True},
    ("ima_file_hash", "dst"): {"writes": True},
    ("skb_output", "data"): {"reads": True},
    ("skb_output", "size"): {"zero": True},
    ("xdp_output", "data"): {"reads": True},
    ("xdp_output", "size"): {"zero": True},
    **{(name, arg): {"reads": True} for name in ("tcp_check_syncookie", "tcp_gen_syncookie") for arg in ("iph", "th")},
    **{(f"{owner}_storage_get", "value"): {"reads": True, "nullable": True} for owner in ("sk", "inode", "task", "cgrp")},
    **{(f"dynptr_{verb}", arg): {flag: True} for verb, arg, flag in (
        ("write", "src", "reads"), ("write", "len", "zero"),
        ("read", "dst", "writes"), ("read", "len", "zero"),
    )},
    ("dynptr_from_mem", "size"): {"zero": True},
    ("dynptr_from_mem", "data"): {"pair": 1, "reads": True, "writes": True},
    # texts with a constant format: a measuring program would need one that fits the data
    ("snprintf", "data"): {"reads": True, "nullable": True},
    ("snprintf", "data_len"): {"zero": True},
    # written by the helper, yet refused by the verifier while uninitialised; a loader with every capability does not see that
    ("snprintf", "str"): {"reads": True},
    ("snprintf_btf", "str"): {"reads": True},
    ("fib_lookup", "params"): {"reads": True},
    ("check_mtu", "mtu_len"): {"size": 4, "reads": True},
    ("load_hdr_opt", "searchby_res"): {"reads": True},
    ("sys_bpf", "attr"): {"reads": True},
}  # fmt: skip


def _pointee(c_type: str) -> str:
    match = re.fullmatch(r"(?:const )?struct (\w+) \*", c_type)
    return match[1] if match else ""


def _pointer(helper: str, position: int, c_type: str, name: str, has_map: bool) -> dict[str, object]:
    """Kind and what belongs to it of a pointer argument; the first rule that fits."""
    of = _pointee(c_type)
    special = {"bpf_dynptr": "dynptr", "bpf_spin_lock": "spin_lock", "bpf_timer": "timer", "bpf_map": "map"}
    if of in special:
        return {"kind": special[of], "pointee": "" if of == "bpf_map" else of}
    if name in ("map", "ringbuf"):
        return {"kind": "map"}
    if name.startswith("callback_"):
        return {"kind": "callback"} if name == "callback_fn" else {"kind": "callback_context", "nullable": True}
    if of in BTF_TYPES:
        return {"kind": "btf", "pointee": of}
    if position == 0 and (of in CONTEXTS or name in ("ctx", "skb")):
        return {"kind": "context"}
    if name in ("sk", "sock") or of in SOCKET_TYPES:
        return {"kind": "socket", "pointee": of}
    if has_map and name == "key":
        return {"kind": "map_key", "reads": True}
    if has_map and name == "value":
        return {"kind": "map_value"}
    return {"kind": "mem", "pointee": of}


def draft(prototype: Prototype) -> tuple[Draft, ...]:
    """The arguments of a helper; raises ValueError for a C type that no rule knows."""
    args: list[Draft] = []
    has_map = False
    for position, (c_type, name) in enumerate(prototype.parameters):
        if c_type == "...":
            break
        if c_type.endswith("*"):
            details = _pointer(prototype.name, position, c_type, name, has_map)
            arg = replace(Draft(name, c_type, "mem"), **details)  # type: ignore[arg-type]
        else:
            if c_type not in WIDTHS:
                raise ValueError(f"no rule for the C type {c_type} of {prototype.name}'s argument {name}")
            width, signed = WIDTHS[c_type]
            arg = Draft(name, c_type, "scalar", width, signed)
            if args and args[-1].kind == "mem" and SIZE_NAME.fullmatch(name):
                args[-1] = replace(args[-1], pair=position)
                arg = replace(arg, kind="size", pair=position - 1)
        change = EXCEPTIONS.get((prototype.name, name))
        if change:
            arg = replace(arg, **change)  # type: ignore[arg-type]
        has_map = has_map or arg.kind == "map"
        args.append(arg)
    for arg in args:
        if arg.kind == "mem" and arg.pair is None and arg.size is None:
            raise ValueError(f"{prototype.name}: nothing tells how much memory {arg.name} points to; add it to EXCEPTIONS")
    return tuple(args)


@dataclass(frozen=True, slots=True)
class ResultDraft:
    """A result. Field names are those of `helpers.Result`."""

    kind: str
    c_type: str
    width: int = 64
    signed: bool = False
    pair: int | None = None
    pointee: str = ""
    nullable: bool = False
    acquires: bool = False


_NULLABLE: dict[str, object] = {"nullable": True}
_FOUND: dict[str, object] = {"kind": "socket", "nullable": True, "acquires": True}
RESULTS: dict[str, dict[str, object]] = {
    **{name: {"kind": "map_value", "nullable": True} for name in (
        "map_lookup_elem", "map_lookup_percpu_elem", "sk_storage_get", "inode_storage_get", "task_storage_get",
        "cgrp_storage_get",
    )},
    "get_local_storage": {"kind": "map_value"},
    "tail_call": {"kind": "never"},
    "sk_lookup_tcp": _FOUND,
    "sk_lookup_udp": _FOUND,
    "skc_lookup_tcp": {**_FOUND, "pointee": "bpf_sock"},
    "sk_fullsock": {"kind": "socket", "nullable": True},
    "tcp_sock": {"kind": "socket", "nullable": True},
    "get_listener_sock": {"kind": "socket", "nullable": True},
    **{f"skc_to_{what}": {"kind": "btf", "nullable": True} for what in (
        "tcp6_sock", "tcp_sock", "tcp_timewait_sock", "tcp_request_sock", "udp6_sock", "unix_sock", "mptcp_sock",
    )},
    "sock_from_file": {"kind": "btf", "nullable": True},
    "get_current_task_btf": {"kind": "btf"},
    "task_pt_regs": {"kind": "btf", "pointee": "pt_regs"},
    "per_cpu_ptr": {"kind": "percpu", "nullable": True},
    "this_cpu_ptr": {"kind": "percpu"},
    "ringbuf_reserve": {"kind": "mem", "pair": 1, "nullable": True, "acquires": True},
    "dynptr_data": {"kind": "mem", "pair": 2, "nullable": True},
    "kptr_xchg": {"kind": "kptr", "nullable": True, "acquires": True},
}  # fmt: skip


def result(prototype: Prototype) -> ResultDraft:
    """What the helper gives; raises ValueError for a pointer that no entry of RESULTS explains."""
    c_type = prototype.result
    change = RESULTS.get(prototype.name, {})
    if c_type == "void":
        return ResultDraft("void", c_type)
    if not c_type.endswith("*"):
        width, signed = WIDTHS[c_type]
        return replace(ResultDraft("scalar", c_type, width, signed), **change)  # type: ignore[arg-type]
    if not change:
        raise ValueError(f"{prototype.name} gives a {c_type}; say in RESULTS what that is")
    return replace(ResultDraft("mem", c_type, pointee=_pointee(c_type)), **change)  # type: ignore[arg-type]
