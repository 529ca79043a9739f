"""A file descriptor that is closed once, whoever closes it, and that says so when it is used afterwards."""

from __future__ import annotations

import fcntl
import os
import sys
from _thread import allocate_lock  # as threading.Lock, whose module takes as long as all of this one

from purebpf.errors import NotLoaded

LOWEST = 3  # 0 means "none" in many fields of bpf(2); 1 and 2 are written to by anyone who prints
_closing = allocate_lock()


class Descriptor:
    """Owns `number`; `what` names it in errors. After a fork both processes have a copy, and closing one leaves the other.

    Forgetting to close it is reported as a ResourceWarning, and mended, when the object goes.
    """

    __slots__ = ("_number", "what")

    def __init__(self, number: int, what: str) -> None:
        self.what = what
        self._number = number
        if number < LOWEST:
            self._number = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, LOWEST)
            os.close(number)

    @classmethod
    def none(cls) -> Descriptor:
        """One that is closed: where there is nothing to hold."""
        made = cls.__new__(cls)
        made._number, made.what = -1, "nothing"
        return made

    @property
    def number(self) -> int:
        """Raises NotLoaded when it is closed."""
        if self._number < 0:
            raise NotLoaded(f"{self.what} is closed; it cannot be used any more.")
        return self._number

    @property
    def closed(self) -> bool:
        return self._number < 0

    def close(self) -> None:
        """Closing again does nothing."""
        with _closing:
            number, self._number = self._number, -1
        if number >= 0:
            os.close(number)

    def __enter__(self) -> Descriptor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # While the interpreter shuts down modules may be gone and nothing can be imported; the kernel closes what is left.
        if getattr(self, "_number", -1) >= 0 and os is not None and _closing is not None and not sys.is_finalizing():
            import warnings

            warnings.warn(f"{self.what} was never closed", ResourceWarning, stacklevel=2, source=self)
            self.close()

    def __repr__(self) -> str:
        return f"<{self.what}: {'closed' if self._number < 0 else self._number}>"
