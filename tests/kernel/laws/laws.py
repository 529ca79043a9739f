"""What a verifier makes of the shapes that a compiler may give to checks and addresses: one program for each.

The compiler relies on these verdicts. `r8` is an unknown 64-bit number, `r9` a map value of 64 bytes, `USE` reads the value
at that index; in programs on packets `r6` and `r7` are begin and end, and `r8` a byte of the context.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

Version = tuple[int, int]
MEASURED: tuple[Version, ...] = ((5, 10), (6, 1), (6, 12), (6, 18), (7, 3))
ACCEPT, REJECT = "accept", "reject"
TABLE = MapSpec("table", MapType.HASH, 4, 64, 4)

VALUE = """
    r6 = r1
    *(u32 *)(r10 -4) = 0
    r2 = r10
    r2 += -4
    r1 = map[table]
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r9 = r0
    r8 = *(u64 *)(r9 +0)
"""
USE = """
    r9 += r8
    r0 = *(u8 *)(r9 +0)
out:
    r0 = 2
    exit
"""
PACKET = """
    r6 = *(u32 *)(r1 +0)
    r7 = *(u32 *)(r1 +4)
    r8 = *(u32 *)(r1 +12)
    r8 &= 255
"""
OUT = """
out:
    r0 = 2
    exit
"""


@dataclass(frozen=True, slots=True)
class Law:
    """A shape and its verdict. `other` has the verdicts of measured kernels that differ."""

    name: str
    verdict: str
    text: str
    other: dict[Version, str] = field(default_factory=dict)


OLD = {(5, 10): REJECT, (6, 1): REJECT}
BEFORE_6_18 = {**OLD, (6, 12): REJECT}
SINCE_7_3 = {(7, 3): ACCEPT}

LAWS = (
    # The guard's operand is rewritten: what is learnt of the copy is not learnt of the original.
    Law("guard_plain", ACCEPT, VALUE + "if r8 > 63 goto out" + USE),
    Law("guard_shifted", REJECT, VALUE + "r1 = r8\nr1 >>= 3\nif r1 > 7 goto out" + USE),
    Law("guard_masked", REJECT, VALUE + "r1 = r8\nr1 &= -64\nif r1 != 0 goto out" + USE),
    Law("guard_xored", REJECT, VALUE + "r1 = r8\nr1 ^= 5\nif r1 > 7 goto out" + USE),
    Law("guard_of_difference", REJECT, VALUE + "r7 = *(u8 *)(r9 +1)\nr1 = r8\nr1 -= r7\nif r1 > 8 goto out" + USE),
    Law("guard_of_copy", ACCEPT, VALUE + "r1 = r8\nif r1 > 63 goto out" + USE),
    # A range folded into one compare.
    Law("range_folded", ACCEPT, VALUE + "r1 = r8\nr1 += -4\nif r1 > 8 goto out" + USE, BEFORE_6_18),
    Law("range_folded_in_two_steps", REJECT, VALUE + "r1 = r8\nr1 += -2\nr1 += -2\nif r1 > 8 goto out" + USE),
    Law("range_by_two_compares", ACCEPT, VALUE + "if r8 < 4 goto out\nif r8 > 12 goto out" + USE),
    # Widths and signs of a check.
    Law("compare_32_of_u64", REJECT, VALUE + "if w8 > 63 goto out" + USE),
    Law("compare_32_of_u32", ACCEPT, VALUE + "r8 = *(u32 *)(r9 +0)\nif w8 > 63 goto out" + USE),
    Law("signed_upper_bound_only", REJECT, VALUE + "if r8 s> 63 goto out" + USE),
    Law("signed_bounds_both", ACCEPT, VALUE + "if r8 s> 63 goto out\nif r8 s< 0 goto out" + USE),
    Law("reloaded_after_check", REJECT, VALUE + "if r8 > 63 goto out\nr8 = *(u64 *)(r9 +0)" + USE),
    # Packet pointers: the register that was checked is the one to use, and only `pointer > end` is a check.
    Law(
        "packet_variable_offset",
        ACCEPT,
        PACKET + "r1 = r6\nr1 += r8\nr2 = r1\nr2 += 4\nif r2 > r7 goto out\nr0 = *(u32 *)(r1 +0)" + OUT,
    ),
    Law(
        "packet_recomputed",
        REJECT,
        PACKET + "r1 = r6\nr1 += r8\nr1 += 4\nif r1 > r7 goto out\nr2 = r6\nr2 += r8\nr0 = *(u32 *)(r2 +0)" + OUT,
    ),
    Law(
        "packet_reassociated",
        REJECT,
        PACKET + "r1 = r6\nr1 += 4\nr1 += r8\nif r1 > r7 goto out\nr6 += r8\nr0 = *(u32 *)(r6 +0)" + OUT,
    ),
    Law("packet_plain", ACCEPT, PACKET + "r1 = r6\nr1 += 4\nif r1 > r7 goto out\nr0 = *(u32 *)(r6 +0)" + OUT),
    Law("packet_length_by_subtraction", REJECT, PACKET + "r7 -= r6\nif r7 < 4 goto out\nr0 = *(u32 *)(r6 +0)" + OUT),
    Law("packet_end_moved", REJECT, PACKET + "r7 += -4\nif r6 > r7 goto out\nr0 = *(u32 *)(r6 +0)" + OUT),
    Law(
        "packet_begin_reloaded",
        REJECT,
        "r9 = r1\n" + PACKET + "r1 = r6\nr1 += 4\nif r1 > r7 goto out\nr6 = *(u32 *)(r9 +0)\nr0 = *(u32 *)(r6 +0)" + OUT,
    ),
    Law("context_moved", REJECT, "r1 += 12\nr0 = *(u32 *)(r1 +0)" + OUT),
    Law("context_with_offset", ACCEPT, "r0 = *(u32 *)(r1 +12)" + OUT),
    # Arithmetic whose result the verifier does not bound.
    Law("index_by_difference", REJECT, VALUE + "r8 &= 7\nr1 = r8\nr8 <<= 3\nr8 -= r1" + USE),
    Law("index_by_product", ACCEPT, VALUE + "r8 &= 7\nr8 *= 7" + USE),
    Law("index_by_division", REJECT, VALUE + "r8 &= 127\nr8 /= 10" + USE, SINCE_7_3),
    Law("index_by_remainder", REJECT, VALUE + "r8 %= 10" + USE, SINCE_7_3),
    Law("index_by_quarter_of_byte", REJECT, VALUE + "r8 = *(u8 *)(r9 +0)\nr8 /= 4" + USE, SINCE_7_3),
    Law("index_by_shift", ACCEPT, VALUE + "r8 = *(u8 *)(r9 +0)\nr8 >>= 2" + USE),
    Law("index_by_mask", ACCEPT, VALUE + "r8 &= 63" + USE),
    Law("index_by_high_product", ACCEPT, VALUE + "r8 = *(u8 *)(r9 +0)\nr8 *= 6554\nr8 >>= 16" + USE),
    Law(
        "index_by_branchless_minimum",
        REJECT,
        VALUE + "r1 = r8\nr1 += -63\nr2 = r1\nr2 s>>= 63\nr1 &= r2\nr1 += 63\nr8 = r1" + USE,
    ),
    # What may be None.
    Law("nullable_moved", REJECT, VALUE.replace("if r0 == 0 goto out", "r0 += 8\nif r0 == 0 goto out") + USE),
    Law("null_tests_ored", REJECT, VALUE.replace("if r0 == 0 goto out", "r1 = 1\nr1 |= r0\nif r1 == 0 goto out") + OUT),
    Law("null_test_32_bit", REJECT, VALUE.replace("if r0 == 0 goto out", "if w0 == 0 goto out") + OUT),
    # Pointers of two kinds in one load, and loops.
    Law(
        "context_and_value_joined",
        REJECT,
        VALUE + "if r8 == 0 goto use\nr9 = r6\nuse: r0 = *(u32 *)(r9 +0)" + OUT,
    ),
    Law(
        "values_of_two_lookups_joined",
        ACCEPT,
        VALUE + "if r8 == 0 goto use\nr9 += 8\nuse: r0 = *(u32 *)(r9 +0)" + OUT,
    ),
    Law(
        "loop_by_pointer",
        REJECT,
        VALUE + "r1 = r9\nr1 += 64\nagain: r0 = *(u8 *)(r9 +0)\nr9 += 1\nif r9 != r1 goto again" + OUT,
    ),
    Law(
        "loop_by_index",
        ACCEPT,
        VALUE + "r1 = 0\nagain: r2 = r9\nr2 += r1\nr0 = *(u8 *)(r2 +0)\nr1 += 1\nif r1 < 64 goto again" + OUT,
    ),
    # Alignment.
    Law("unaligned_packet", ACCEPT, PACKET + "r1 = r6\nr1 += 8\nif r1 > r7 goto out\nr0 = *(u32 *)(r6 +3)" + OUT),
    Law("unaligned_map_value", ACCEPT, VALUE + "r0 = *(u32 *)(r9 +3)" + OUT),
    Law("unaligned_stack", REJECT, "*(u64 *)(r10 -8) = 0\nr0 = *(u32 *)(r10 -7)" + OUT),
    Law("unaligned_context", REJECT, "r0 = *(u32 *)(r1 +14)" + OUT),
    # What keeps its guard.
    Law("tested_bits_of_guarded", ACCEPT, VALUE + "if r8 > 63 goto out\nif r8 & 1 goto out" + USE),
    Law(
        "spilled_around_check", ACCEPT, VALUE + "*(u64 *)(r10 -16) = r8\nif r8 > 63 goto out\nr8 = *(u64 *)(r10 -16)" + USE, OLD
    ),
    Law(
        "map_reference_spilled",
        ACCEPT,
        "r1 = map[table]\n*(u64 *)(r10 -16) = r1\n*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = *(u64 *)(r10 -16)\n"
        "call bpf_map_lookup_elem" + OUT,
    ),
    Law(
        "pointer_or_zero",
        ACCEPT,
        VALUE + "r1 = 0\nif r8 > 5 goto join\nr1 = r9\njoin: if r1 == 0 goto out\nr0 = *(u64 *)(r1 +0)" + OUT,
    ),
)
