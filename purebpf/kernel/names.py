"""Names of maps and programs as the kernel takes them: 15 characters of [A-Za-z0-9_.] (bpf_obj_name_cpy)."""

from __future__ import annotations

import errno
from collections.abc import Callable

from purebpf.kernel.errors import kernel_version
from purebpf.tables.attr import BPF_OBJ_NAME_LEN

ALLOWED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.")


def kernel_name(name: str, dots: bool = True) -> bytes:
    """The name with every other character as an underscore, cut to what fits beside the final NUL. Dots need Linux 5.2."""
    raw = bytes(c if c in ALLOWED and (dots or c != ord(".")) else ord("_") for c in name.encode("ascii", "replace"))
    return raw[: BPF_OBJ_NAME_LEN - 1]


def with_name(name: str, attempt: Callable[[bytes], int]) -> int:
    """Make a call that gives something a name; on a kernel that refuses the name, without dots, then without any (before 4.15).

    The answer, or minus the errno: that of the first attempt, which had what was asked for.
    """
    first = kernel_name(name)
    answer = attempt(first)
    if answer not in (-errno.EINVAL, -errno.E2BIG) or kernel_version() >= (5, 2):
        return answer
    plain = kernel_name(name, dots=False)
    for other in ([plain] if plain != first else []) + ([b""] if first else []):
        result = attempt(other)
        if result >= 0:
            return result
    return answer
