"""How those who wait hear that events have come: threads by the condition, event loops by a call."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition


class Arrival(Condition):
    """A condition that also calls the functions in `watchers`, under its lock."""

    def __init__(self) -> None:
        super().__init__()
        self.watchers: set[Callable[[], None]] = set()

    def notify_all(self) -> None:
        super().notify_all()
        for wake in tuple(self.watchers):
            wake()
