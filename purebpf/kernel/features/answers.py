"""Answers of probes, of which the conclusive ones are kept."""

from __future__ import annotations

import errno
from collections.abc import Callable
from enum import IntEnum

from purebpf.data import data
from purebpf.kernel.errors import strerror


@data
class Answer:
    """Whether it is there: True, False, or None where that cannot be found out, with the reason in `why`."""

    there: bool | None
    why: str = ""

    def __bool__(self) -> bool:
        return self.there is True


YES, NO = Answer(True), Answer(False)
UNRELATED = (errno.EPERM, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSYS, errno.EAGAIN, errno.EINTR)
_kept: dict[tuple[str, int, int], Answer] = {}


def kept(member: IntEnum, find: Callable[[], Answer], helper: int = 0) -> Answer:
    """The answer of an earlier time about a type (and a helper of it), else the one found now."""
    key = type(member).__name__, int(member), helper  # members of two enums may be equal numbers
    if key not in _kept:
        answer = find()
        if answer.there is None:
            return answer
        _kept[key] = answer
    return _kept[key]


def forget() -> None:
    """Ask again."""
    _kept.clear()


def inconclusive(number: int) -> Answer:
    """For an errno that says nothing about the feature."""
    if number == errno.EPERM:
        return Answer(None, "not permitted: a privilege is missing, or a policy of this kernel forbids it")
    return Answer(None, f"the kernel answers: {strerror(number)}")
