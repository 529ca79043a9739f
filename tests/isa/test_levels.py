"""Which instruction set version and which kernel an instruction needs."""

from __future__ import annotations

import pytest

from purebpf.isa import cpu_level, minimum_kernel, parse_instruction

NEEDS: list[tuple[str, int, tuple[int, int] | None]] = [
    ("r1 += r2", 1, (3, 18)),
    ("r1 = be16 r1", 1, (3, 18)),
    ("*(u32 *)(r1 +0) = 5", 1, (3, 18)),
    ("lock *(u32 *)(r1 +0) += r2", 1, (3, 18)),
    ("r0 = *(u8 *)skb[3]", 1, (3, 18)),
    ("if r1 s>= r2 goto pc+1", 1, (3, 18)),
    ("if r1 < r2 goto pc+1", 2, (4, 14)),
    ("if r1 s<= 0x5 goto pc+1", 2, (4, 14)),
    ("call pc+1", 1, (4, 16)),
    ("r1 = map[data][0]+0", 1, (5, 2)),
    ("w1 += 5", 3, (3, 18)),
    ("if w1 == 0x5 goto pc+1", 3, (5, 1)),
    ("r1 = ksym[jiffies]", 1, (5, 10)),
    ("r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)", 3, (5, 12)),
    ("lock *(u64 *)(r1 +0) ^= r2", 3, (5, 12)),
    ("r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2)", 3, (5, 12)),
    ("call kfunc[bpf_task_acquire]", 1, (5, 13)),
    ("r1 = subprog[f]", 1, (5, 13)),
    ("r1 = map[idx:3]", 1, (5, 14)),
    ("r1 s/= r2", 4, (6, 6)),
    ("w1 = (s8)w2", 4, (6, 6)),
    ("r1 = *(s16 *)(r2 +0)", 4, (6, 6)),
    ("r1 = bswap64 r1", 4, (6, 6)),
    ("gotol pc+5", 4, (6, 6)),
    ("may_goto pc+1", 4, (6, 9)),
    ("r1 = addr_space_cast(r2, 0, 1)", 4, (6, 9)),
    ("r1 = load_acquire((u8 *)(r2 +0))", 4, (6, 15)),
    ("store_release((u64 *)(r1 +0), r2)", 4, (6, 15)),
    ("gotox r1", 4, (6, 19)),
    ("callx r1", 1, None),
]


@pytest.mark.parametrize(("text", "level", "kernel"), NEEDS)
def test_needs(text: str, level: int, kernel: tuple[int, int] | None) -> None:
    instruction = parse_instruction(text)
    assert cpu_level(instruction) == level
    assert minimum_kernel(instruction) == kernel
