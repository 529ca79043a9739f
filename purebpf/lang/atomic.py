"""`bpf.atomic`: one atomic instruction on a place that others share, for the compiler and for type checkers.

A place is `m[k]`, `record.field`, `record.items[i]` or `state.field` of 4 or 8 bytes in a map value or global; all of them
give the value that was there before. Needs Linux 5.12 (cpu level 3). Called from ordinary Python they say that they only run in
a program.
"""

from __future__ import annotations

from typing import NoReturn

from purebpf.errors import Error


def _only_in_a_program(name: str) -> NoReturn:
    raise Error(
        f"bpf.{name} runs only inside a program: Python has no atomic access to memory. Let a program change what both sides "
        "change, or keep a number for each side"
    )


class atomic:
    """Operations on a place; each gives the old value, or None where a hash has no such key."""

    @staticmethod
    def fetch_add(place: int, n: int) -> int:
        """place += n"""
        _only_in_a_program("atomic.fetch_add()")

    @staticmethod
    def fetch_sub(place: int, n: int) -> int:
        """place -= n"""
        _only_in_a_program("atomic.fetch_sub()")

    @staticmethod
    def fetch_or(place: int, n: int) -> int:
        """place |= n"""
        _only_in_a_program("atomic.fetch_or()")

    @staticmethod
    def fetch_and(place: int, n: int) -> int:
        """place &= n"""
        _only_in_a_program("atomic.fetch_and()")

    @staticmethod
    def fetch_xor(place: int, n: int) -> int:
        """place ^= n"""
        _only_in_a_program("atomic.fetch_xor()")

    @staticmethod
    def exchange(place: int, value: int) -> int:
        """place = value"""
        _only_in_a_program("atomic.exchange()")

    @staticmethod
    def compare_exchange(place: int, old: int, new: int) -> int:
        """place = new, if it holds `old`: then the result is `old`."""
        _only_in_a_program("atomic.compare_exchange()")
