"""`async for record in ring`: records as they come, without a thread that waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TypeVar

from purebpf.errors import NotLoaded

if TYPE_CHECKING:
    from purebpf.lang.maps import EventMap

V = TypeVar("V")
LOOK_AGAIN = 0.2  # seconds after which it looks whether the map was closed
POLL = 0.01  # the same for records, where there is no descriptor to wait for: in the virtual machine


async def stream(source: EventMap[V]) -> AsyncIterator[V]:
    """The records one by one, until the map is closed. Raises NotLoaded if it is not loaded."""
    source.live  # noqa: B018
    while source.bound:
        try:
            found = source.read(0)
            descriptor = source.fileno()
        except NotLoaded:  # another thread closed it just now
            return
        for record in found:
            yield record
        if not found:
            await _arrival(descriptor)


async def _arrival(descriptor: int) -> None:
    """Until the descriptor can be read, or a little while."""
    if descriptor < 0:
        await asyncio.sleep(POLL)
        return
    loop = asyncio.get_running_loop()
    arrived = loop.create_future()
    loop.add_reader(descriptor, lambda: None if arrived.done() else arrived.set_result(None))
    try:
        await asyncio.wait([arrived], timeout=LOOK_AGAIN)
    finally:
        loop.remove_reader(descriptor)
        arrived.cancel()
