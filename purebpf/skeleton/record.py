"""What a type checker knows of the records in a package, which `lang/fixed.py` makes."""

from __future__ import annotations

from typing import Any, ClassVar, Self


class Record:
    """A record of fixed layout."""

    def to_bytes(self) -> bytes:
        """The record as it lies in memory."""
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The record from its bytes; more than its size are ignored. Raises ValueError for fewer."""
        raise NotImplementedError

    dtype: ClassVar[Any]
    """NumPy's type of the same layout."""
