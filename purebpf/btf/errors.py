"""The one error of this package."""

from __future__ import annotations

from purebpf.errors import Error


class BtfError(Error):
    """BTF that is not well-formed, or a type that is not there. `offset` is the byte where it was noticed, if there is one."""

    def __init__(self, reason: str, offset: int | None = None) -> None:
        super().__init__(reason if offset is None else f"{reason} (at byte {offset})")
        self.offset = offset
