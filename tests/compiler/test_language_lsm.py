"""Results of security hooks: whatever way a number from -4095 to 0 comes about, the verifier must know its range (it looks
since Linux 6.12). Loaded only; where programs may be attached, test_links_typed.py does."""

from __future__ import annotations

import errno

import pytest

import purebpf as bpf
from purebpf import s32, s64, u32
from purebpf.errors import KernelError, Unsupported
from purebpf.kernel.engine import KernelEngine

numbers = bpf.Array[s64](max_entries=8)
DENIED = -errno.EACCES


@bpf.lsm("file_open")
def joined_behind_a_computation(file, ret):  # type: ignore[no-untyped-def]
    code = -(numbers[0] & 7)
    if numbers[1]:
        code = DENIED
    return code


@bpf.lsm("file_open")
def joined_constants(file):  # type: ignore[no-untyped-def]
    code = 0
    if numbers[1] == 3:
        code = DENIED
    elif numbers[1] == 4:
        code = -errno.EPERM
    return code


@bpf.lsm("file_open")
def joined_with_what_others_said(file, ret):  # type: ignore[no-untyped-def]
    code: s32 = ret if numbers[2] else 0
    if code < -4095 or code > 0:
        return -1
    return code if numbers[3] else -(numbers[4] & 0xFF)


@bpf.lsm("file_open")
def chosen(file):  # type: ignore[no-untyped-def]
    return -(numbers[0] & 15) if numbers[1] else DENIED


@bpf.lsm("file_open")
def counted_in_a_loop(file):  # type: ignore[no-untyped-def]
    code = 0
    for i in range(4):
        if numbers[i] == 77:
            code = -(numbers[i + 1] & 3)
        if code == -2:
            return code
    return code


@bpf.lsm("file_open")
def smallest(file):  # type: ignore[no-untyped-def]
    return max(min(numbers[0], 0), -4095)


def of_a_function(n: u32) -> int:
    if n > 5:
        return -13
    return -(n & 1)


@bpf.lsm("file_open")
def by_a_function(file):  # type: ignore[no-untyped-def]
    code = of_a_function(u32(numbers[0]))
    if numbers[1]:
        code = -1
    return code


@pytest.mark.parametrize(
    "program",
    [
        joined_behind_a_computation,
        joined_constants,
        joined_with_what_others_said,
        chosen,
        counted_in_a_loop,
        smallest,
        by_a_function,
    ],
    ids=lambda program: program.name,
)
def test_the_verifier_knows_the_range(kernel: KernelEngine, program: bpf.Program) -> None:
    try:
        program.load("kernel").close()
    except Unsupported as error:
        pytest.skip(str(error))
    except KernelError as error:
        if error.errno not in (errno.EPERM, errno.EACCES) or getattr(error, "log", ""):
            raise
        pytest.skip(str(error))
