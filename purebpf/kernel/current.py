"""The collection that is being loaded in this thread, if it is one whose programs and maps share types (see `together.py`)."""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.kernel.descriptor import Descriptor
    from purebpf.kernel.together import Together
    from purebpf.spec import MapTypes

CURRENT: ContextVar[Together | None] = ContextVar("current", default=None)


def types_of_map(types: MapTypes) -> Descriptor | None:
    """The loaded types that a map shares with the programs of its collection; None where it shares none. Raises KernelError."""
    common = CURRENT.get()
    return common.btf() if common is not None and common.are(types) else None
