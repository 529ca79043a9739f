"""Memory outside a program, by address: `bpf.read_user` and its siblings, in the virtual machine's memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from purebpf.lang import reading
from purebpf.lang.types import CharsType, type_of
from purebpf.runner.names import stands_for
from purebpf.runner.views import Block, Fetched, Text, load, place_of

if TYPE_CHECKING:
    from purebpf.runner.session import Runner


def _reader(helper: str) -> Callable[[Runner, Any], Any]:
    def make(runner: Runner, _: Any) -> Any:
        def read(address: int, type: Any) -> Any:
            """A copy, or None."""
            layout = type_of(type)
            assert layout is not None
            if runner.helper(helper, place := runner.zeroed(layout), address):
                return None
            block, at, _ = place_of(place)
            return load(Block(block.data, runner.function, writable=False), at, layout)

        return read

    return make


def _text_reader(helper: str) -> Callable[[Runner, Any], Any]:
    def make(runner: Runner, _: Any) -> Any:
        def read(address: int, size: int | None = None) -> Text:
            """A copy, empty where there is nothing to read."""

            def sized(size: int) -> Text:
                place: Text = runner.zeroed(CharsType(size))
                runner.helper(helper, place, address)
                return place

            return sized(size) if size is not None else Fetched(sized, reading.TEXT_BYTES)

        return read

    return make


for _where, _record, _text in (
    ("user", reading.read_user, reading.read_user_str),
    ("kernel", reading.read_kernel, reading.read_kernel_str),
):
    stands_for(_record)(_reader(f"probe_read_{_where}"))
    stands_for(_text)(_text_reader(f"probe_read_{_where}_str"))
