"""The exceptions of purebpf: one small tree under `Error`.

Errors that come from a system call are also `OSError`s and keep their `errno`.
"""

from __future__ import annotations

from functools import wraps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import ParamSpec, TypeVar

    from purebpf.explain import Explanation

    P = ParamSpec("P")
    T = TypeVar("T")


class Error(Exception):
    """Anything purebpf refuses or could not do. The text is a sentence: what, where, why, what to do."""


class CompileError(Error):
    """A program that cannot be compiled; the text shows the file, the line, a caret and a hint."""


class AssemblerError(Error):
    """Text or bytes that are no valid eBPF instructions."""


class Unsupported(Error):
    """This engine, kernel or machine cannot do it; the text says which and what is needed (a minimum kernel, a feature)."""


class VmError(Error):
    """A program did something in the embedded virtual machine that is not allowed; names the instruction and the source
    line."""


class NotLoaded(Error):
    """A map or program was used before it was loaded, or after its collection was closed."""


class KernelError(Error, OSError):
    """A system call failed. `errno` and `strerror` are the kernel's; the text names the missing privilege or feature."""

    def __init__(self, number: int, message: str) -> None:
        OSError.__init__(self, number, message)
        self.message = message

    def __str__(self) -> str:
        return self.message


GAVE_UP = ("BPF program is too large", "jumps is too complex")


class VerifierError(KernelError):
    """The kernel's verifier rejected a program. `log` is its whole log; `explanation` what it means, where that was asked.
    `unresolved` tells by slot why CO-RE relocations have no answer in this kernel."""

    def __init__(self, number: int, message: str, log: str, explanation: Explanation | None = None) -> None:
        super().__init__(number, message)
        self.log = log
        self.explanation = explanation
        self.unresolved: Mapping[int, str] = {}

    @property
    def too_complex(self) -> bool:
        """Whether the verifier gave up before it was through: it takes a million instructions, and some thousand jumps."""
        return any(word in self.log for word in GAVE_UP)


def told_here(function: Callable[P, T]) -> Callable[P, T]:
    """For what users call: an error's traceback ends there. What they did is in its text; the frames in between are ours."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except Error as error:
            raise error.with_traceback(None) from error.__cause__

    return call
