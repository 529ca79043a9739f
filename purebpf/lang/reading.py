"""Memory outside a program: of the process that runs, and of the kernel, by address. A fault gives None, or an empty text."""

from __future__ import annotations

from typing import TypeVar

from purebpf.lang.idioms import _only_in_a_program

T = TypeVar("T")
TEXT_BYTES = 256  # what a text takes, with its NUL, where nothing else tells


def read_user(address: int, type: type[T], /) -> T | None:
    """A record or scalar in the memory of the process that runs, as a copy; None where it cannot be read (helper
    probe_read_user, Linux 5.5; tracing programs)."""
    _only_in_a_program("read_user()")


def read_kernel(address: int, type: type[T], /) -> T | None:
    """A record or scalar in the kernel's memory, as a copy; None where it cannot be read (helper probe_read_kernel, Linux 5.5;
    tracing programs)."""
    _only_in_a_program("read_kernel()")


def read_user_str(address: int, size: int = TEXT_BYTES) -> str:
    """The text at an address of the process that runs, "" where it cannot be read (helper probe_read_user_str, Linux 5.5;
    tracing programs). Stored in a field it may be as long as that; else `size` bytes with its NUL. What is longer is cut."""
    _only_in_a_program("read_user_str()")


def read_kernel_str(address: int, size: int = TEXT_BYTES) -> str:
    """As `read_user_str`, in the kernel's memory (helper probe_read_kernel_str, Linux 5.5; tracing programs)."""
    _only_in_a_program("read_kernel_str()")
