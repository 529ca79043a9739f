"""Programs that a verifier rejects, one for each kind of rejection: what the logs in `logs/` are of.

The text of a program is assembly. `LOOKUP` looks up entry 0 of `counts`, which is a hash, so that the entry may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from purebpf.spec import MapSpec
from purebpf.tables.enums import AttachType, MapType, ProgramType

LOOKUP = """
    *(u32 *)(r10 -4) = 0
    r2 = r10
    r2 += -4
    r1 = map[counts]
    call bpf_map_lookup_elem
"""
PACKET = """
    r2 = *(u32 *)(r1 +0)
    r3 = *(u32 *)(r1 +4)
"""
RETURN = """
    r0 = 2
    exit
"""

MAPS = {
    spec.name: spec
    for spec in (
        MapSpec("counts", MapType.HASH, 4, 8, 4),
        MapSpec("table", MapType.HASH, 4, 64, 4),
        MapSpec("fixed", MapType.ARRAY, 4, 8, 1, flags=0x80),  # BPF_F_RDONLY_PROG
        MapSpec("targets", MapType.PROG_ARRAY, 4, 4, 4),
        MapSpec("events", MapType.RINGBUF, 0, 0, 4096),
    )
}


@dataclass(frozen=True, slots=True)
class Rejected:
    """A program, and the name of the rule that must tell its rejection (see `purebpf/explain/rules.py`)."""

    name: str
    rule: str
    text: str
    type: ProgramType = ProgramType.XDP
    license: str = "GPL"
    attach_type: AttachType | None = None
    since: tuple[int, int] = (5, 10)  # where an older kernel takes it or says something else
    until: tuple[int, int] = (99, 0)  # the first kernel that takes it

    @property
    def maps(self) -> Mapping[str, MapSpec]:
        return {name: spec for name, spec in MAPS.items() if f"map[{name}]" in self.text}


def deep(calls: int) -> str:
    """A program of functions that call one another."""
    return "".join(f"f{n}: call subprog[f{n + 1}]\nr0 = 2\nexit\n" for n in range(calls)) + f"f{calls}:" + RETURN


PROGRAMS = (
    Rejected("packet_unchecked", "packet_range", PACKET + "r4 = *(u16 *)(r2 +12)" + RETURN),
    Rejected(
        "packet_checked_too_short",
        "packet_range",
        PACKET + "r4 = r2\nr4 += 14\nif r4 > r3 goto out\nr5 = *(u32 *)(r2 +12)\nout:" + RETURN,
    ),
    Rejected(
        "packet_other_register",
        "packet_range",
        PACKET + "r6 = *(u32 *)(r1 +12)\nr6 &= 255\nr2 += r6\nr5 = *(u8 *)(r2 +0)\n" + RETURN,
    ),
    Rejected("map_value_too_far", "map_value_range", LOOKUP + "if r0 == 0 goto out\nr3 = *(u64 *)(r0 +8)\nout:" + RETURN),
    Rejected(
        "map_value_at_unbounded_index",
        "unbounded_access",
        "r6 = *(u32 *)(r1 +12)\n" + LOOKUP + "if r0 == 0 goto out\nr0 += r6\nr3 = *(u8 *)(r0 +0)\nout:" + RETURN,
    ),
    Rejected(
        "map_value_at_large_index",
        "map_value_range",
        "r6 = *(u32 *)(r1 +12)\n" + LOOKUP + "if r0 == 0 goto out\nr6 &= 255\nr0 += r6\nr3 = *(u8 *)(r0 +0)\nout:" + RETURN,
    ),
    Rejected(
        "packet_offset_without_bound",
        "unbounded_pointer_math",
        PACKET + "r6 = *(u32 *)(r1 +12)\nr6 <<= 32\nr6 s>>= 32\nr2 += r6" + RETURN,
    ),
    Rejected(
        "map_value_at_negative_index",
        "negative_minimum",
        "r6 = *(u32 *)(r1 +12)\nr6 <<= 32\nr6 s>>= 32\n"
        + LOOKUP
        + "if r0 == 0 goto out\nif r6 s> 7 goto out\nif r6 s< -9 goto out\nr0 += r6\nr3 = *(u8 *)(r0 +0)\nout:"
        + RETURN,
    ),
    Rejected("null_dereference", "maybe_null", LOOKUP + "r3 = *(u64 *)(r0 +0)" + RETURN),
    Rejected("null_arithmetic", "null_arithmetic", LOOKUP + "r0 += 8\nr3 = *(u64 *)(r0 +0)" + RETURN),
    Rejected(
        "null_argument",
        "argument_type",
        LOOKUP + "r2 = r0\nr1 = map[counts]\ncall bpf_map_lookup_elem" + RETURN,
    ),
    Rejected("endless", "infinite_loop", "r1 = 0\nagain: r2 = 1\nif r1 == 0 goto again" + RETURN),
    Rejected(
        "too_many_instructions",
        "too_many_instructions",
        "r1 = 0\nagain: r1 += 1\nr2 = r1\nif r1 < 1000000 goto again" + RETURN,
    ),
    Rejected("stack_too_far", "stack_range", "*(u64 *)(r10 -520) = 0" + RETURN),
    Rejected("stack_misaligned", "misaligned_stack", "*(u32 *)(r10 -7) = 0" + RETURN),
    Rejected(
        "stack_of_two_too_large",
        "combined_stack",
        "*(u64 *)(r10 -400) = 0\ncall subprog[f]\nr0 = 2\nexit\nf: *(u64 *)(r10 -400) = 0" + RETURN,
    ),
    Rejected("stack_not_written", "stack_range", "r3 = *(u64 *)(r10 -8)" + RETURN, until=(6, 3)),
    Rejected(
        "key_not_written",
        "uninitialised_stack",
        "r2 = r10\nr2 += -4\nr1 = map[counts]\ncall bpf_map_lookup_elem" + RETURN,
        until=(6, 3),
    ),
    Rejected(
        "stack_beyond_helper",
        "stack_range",
        "r1 = r10\nr1 += -4\nr2 = 8\ncall bpf_get_current_comm" + RETURN,
        ProgramType.KPROBE,
    ),
    Rejected("register_not_written", "uninitialised_register", "r0 = r3\nexit"),
    Rejected("register_after_call", "uninitialised_register", "call bpf_ktime_get_ns\nr0 = *(u32 *)(r1 +0)\nexit"),
    Rejected("no_result", "no_result", "exit"),
    Rejected("no_such_helper", "unknown_helper", "call 9999" + RETURN),
    Rejected("core_poison", "core_poison", "call 195896080" + RETURN),
    Rejected("helper_of_other_type", "helper_of_other_type", "r1 = 0\ncall bpf_skb_load_bytes" + RETURN),
    Rejected("context_unknown_field", "context_access", "r0 = *(u32 *)(r1 +400)\nexit"),
    Rejected("context_wrong_size", "context_access", "r0 = *(u8 *)(r1 +0)\nexit"),
    Rejected("context_write", "context_access", "*(u32 *)(r1 +0) = 1" + RETURN),
    Rejected("context_moved", "context_moved", "r2 = *(u32 *)(r1 +12)\nr1 += 8\nr0 = *(u32 *)(r1 +0)\nexit"),
    Rejected("context_variable", "context_moved", "r2 = *(u32 *)(r1 +12)\nr2 &= 4\nr1 += r2\nr0 = *(u32 *)(r1 +0)\nexit"),
    Rejected(
        "gpl_only",
        "gpl_only",
        "*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -8\nr2 = 8\ncall bpf_trace_printk" + RETURN,
        license="Proprietary",
    ),
    Rejected("ring_record_kept", "unreleased", "r1 = map[events]\nr2 = 16\nr3 = 0\ncall bpf_ringbuf_reserve" + RETURN),
    Rejected(
        "ring_record_too_far",
        "memory_range",
        "r1 = map[events]\nr2 = 16\nr3 = 0\ncall bpf_ringbuf_reserve\nif r0 == 0 goto out\n*(u64 *)(r0 +12) = 0\n"
        "r1 = r0\nr2 = 0\ncall bpf_ringbuf_submit\nout:" + RETURN,
    ),
    Rejected(
        "socket_kept",
        "unreleased",
        "*(u64 *)(r10 -16) = 0\n*(u64 *)(r10 -8) = 0\nr2 = r10\nr2 += -16\nr3 = 12\nr4 = -1\nr5 = 0\n"
        "call bpf_sk_lookup_tcp" + RETURN,
        ProgramType.SCHED_CLS,
    ),
    Rejected(
        "result_out_of_range",
        "result_range",
        "r0 = 7\nexit",
        ProgramType.CGROUP_SKB,
        attach_type=AttachType.CGROUP_INET_INGRESS,
    ),
    Rejected(
        "result_unknown",
        "result_range",
        "r0 = *(u32 *)(r1 +0)\nexit",
        ProgramType.CGROUP_SKB,
        attach_type=AttachType.CGROUP_INET_INGRESS,
    ),
    Rejected("pointer_times", "pointer_operator", "r1 *= 8" + RETURN),
    Rejected("pointer_32_bit", "pointer_32_bit", "w1 += 8" + RETURN),
    Rejected("pointer_plus_pointer", "pointer_plus_pointer", "r2 = r10\nr2 += r1" + RETURN),
    Rejected("map_pointer_moved", "pointer_prohibited", "r3 = *(u32 *)(r1 +12)\nr2 = map[counts]\nr2 += r3" + RETURN),
    Rejected("packet_end_moved", "pointer_prohibited", PACKET + "r3 += -4" + RETURN),
    Rejected("frame_pointer_written", "frame_pointer", "r10 += 8" + RETURN),
    Rejected("not_a_pointer", "not_a_pointer", "r2 = *(u32 *)(r1 +12)\nr3 = *(u32 *)(r2 +0)" + RETURN),
    Rejected("constant_address", "not_a_pointer", "r2 = 4096\nr3 = *(u32 *)(r2 +0)" + RETURN),
    Rejected("wrong_argument", "argument_type", "r2 = r10\nr1 = 5\ncall bpf_map_lookup_elem" + RETURN),
    Rejected(
        "wrong_map",
        "wrong_map",
        "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[targets]\ncall bpf_map_lookup_elem" + RETURN,
    ),
    Rejected(
        "map_write_forbidden",
        "map_forbidden",
        LOOKUP.replace("counts", "fixed") + "if r0 == 0 goto out\n*(u64 *)(r0 +0) = 1\nout:" + RETURN,
    ),
    Rejected(
        "size_unbounded",
        "size_unbounded",
        "r6 = *(u32 *)(r1 +12)\nr6 <<= 30\n"
        + LOOKUP
        + "if r0 == 0 goto out\nr1 = r0\nr2 = r6\nr3 = r0\nr4 = 0\nr5 = 0\ncall bpf_csum_diff\nout:"
        + RETURN,
    ),
    Rejected(
        "size_negative",
        "size_negative",
        "r6 = *(u64 *)(r1 +0)\n"
        + LOOKUP
        + "if r0 == 0 goto out\nr1 = r0\nr2 = r6\nif r2 s> 8 goto out\ncall bpf_get_current_comm\nout:"
        + RETURN,
        ProgramType.PERF_EVENT,
    ),
    Rejected(
        "size_zero",
        "size_zero",
        LOOKUP + "if r0 == 0 goto out\nr1 = r0\nr2 = 0\ncall bpf_get_current_comm\nout:" + RETURN,
        ProgramType.KPROBE,
        since=(6, 12),
    ),
    Rejected("lock_without_type", "lock_type", LOOKUP + "if r0 == 0 goto out\nr1 = r0\ncall bpf_spin_lock\nout:" + RETURN),
    Rejected("jump_out_of_range", "jump_out_of_range", "r0 = 0\nif r0 == 0 goto pc+20" + RETURN),
    Rejected("unreachable", "unreachable", "r0 = 2\ngoto out\nr1 = 0\nout: exit"),
    Rejected("falls_off", "falls_off", "r0 = 2\nr1 = 0"),
    Rejected("packet_of_reader", "context_access", "r2 = *(u32 *)(r1 +76)" + RETURN, ProgramType.SOCKET_FILTER),
    Rejected("sleeps", "sleeps", "call kfunc[bpf_copy_from_user_str]" + RETURN, ProgramType.KPROBE, since=(6, 11)),
    Rejected("rcu_region_left", "left_locked", "call kfunc[bpf_rcu_read_lock]" + RETURN, ProgramType.SCHED_CLS, since=(6, 2)),
    Rejected("kfunc_of_other_type", "kfunc_not_allowed", "r1 = 0\ncall kfunc[bpf_dynptr_from_skb]" + RETURN, since=(6, 4)),
    Rejected(
        "recursion_nine",
        "call_depth",
        deep(9),
        until=(7, 2),
    ),
    Rejected("recursion_seventeen", "call_depth", deep(17)),
    Rejected(
        "function_calls_tail",
        "tail_call_in_function",
        "call subprog[f]\nr0 = 2\nexit\nf: r2 = map[targets]\nr3 = 0\ncall bpf_tail_call" + RETURN,
    ),
    Rejected("divides_by_zero", "divides_by_zero", "r0 = 4\nr0 /= 0\nexit"),
    Rejected("shift_too_far", "shift_too_far", "r0 = 4\nr0 <<= 64\nexit"),
    Rejected(
        "dynptr_missing",
        "dynptr",
        "*(u64 *)(r10 -8) = 0\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall bpf_dynptr_data" + RETURN,
        since=(5, 19),
    ),
)
