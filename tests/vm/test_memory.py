"""The address space by itself: bounds, permissions, and what the messages say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purebpf.vm.memory import SHIFT, SPAN, Fault, Memory


@pytest.fixture
def memory() -> Memory:
    return Memory()


def refused(memory: Memory, address: int, size: int, write: bool = False) -> str:
    with pytest.raises(Fault) as caught:
        if write:
            memory.write(address, bytes(size))
        else:
            memory.read(address, size)
    return str(caught.value)


@given(size=st.integers(1, 64), offset=st.integers(-80, 80), length=st.integers(1, 16))
def test_access_succeeds_exactly_inside_of_a_region(size: int, offset: int, length: int) -> None:
    memory = Memory()
    memory.share("first", bytearray(64))
    data = bytearray(range(size))
    start = memory.share("second", data)
    memory.share("third", bytearray(64))
    if offset >= 0 and offset + length <= size:
        assert memory.read(start + offset, length) == bytes(data[offset : offset + length])
        memory.write(start + offset, b"\xff" * length)
        assert data[offset : offset + length] == b"\xff" * length
    else:
        before = bytes(data)
        assert "second" in refused(memory, start + offset, length)
        assert "second" in refused(memory, start + offset, length, write=True)
        assert data == before


def test_read_only_memory_cannot_be_written(memory: Memory) -> None:
    start = memory.share("the table", bytearray(b"abcd"), writable=False)
    assert memory.read(start, 4) == b"abcd"
    assert refused(memory, start, 2, write=True) == f"writes 2 bytes at {start:#x}, in the table, which is read-only"


@pytest.mark.parametrize(
    ("offset", "size", "message"),
    [
        (8, 1, "reads 1 byte at {at}, right at the end of the buffer (8 bytes)"),
        (11, 4, "reads 4 bytes at {at}, 3 bytes past the end of the buffer (8 bytes)"),
        (6, 4, "reads 4 bytes at {at}, at offset 6 of the buffer, and so reaches 2 past its end (8 bytes)"),
        (-1, 1, "reads 1 byte at {at}, 1 byte before the start of the buffer (8 bytes)"),
        (-300, 8, "reads 8 bytes at {at}, 300 bytes before the start of the buffer (8 bytes)"),
    ],
)
def test_message_tells_what_was_nearly_hit(memory: Memory, offset: int, size: int, message: str) -> None:
    start = memory.share("the buffer", bytearray(8))
    assert refused(memory, start + offset, size) == message.format(at=hex(start + offset))


def test_message_tells_a_null_pointer(memory: Memory) -> None:
    assert refused(memory, 0, 4) == "reads 4 bytes at 0x0, a null pointer: test the pointer before it is used"
    assert "a null pointer +16:" in refused(memory, 16, 4)
    assert "a null pointer -8:" in refused(memory, (1 << 64) - 8, 4)


def test_message_tells_an_address_that_is_nothing(memory: Memory) -> None:
    assert "where nothing is" in refused(memory, 0xFFFF_8880_0000_1000, 8)


def test_released_memory_is_gone_and_its_numbers_are_not_used_again(memory: Memory) -> None:
    first = memory.reserve(3, lambda region: f"part {region}")
    for region in range(first, first + 3):
        memory.map(region, bytearray(4))
    kept = memory.share("kept", bytearray(4))
    memory.release(first)
    assert "where nothing is" in refused(memory, first << SHIFT, 4)
    assert memory.read(kept, 4) == bytes(4)
    assert memory.reserve(1, str) > first + 2


def test_text_ends_at_the_nul_or_the_limit(memory: Memory) -> None:
    start = memory.share("text", bytearray(b"hello\0world"))
    assert memory.read_text(start, 100) == b"hello"
    assert memory.read_text(start, 3) == b"hel"
    assert memory.read_text(start + 6, 5) == b"world"
    with pytest.raises(Fault, match="reaches 1 past its end"):
        memory.read_text(start + 6, 6)


def test_region_of_more_than_the_span_is_refused(memory: Memory) -> None:
    class Huge(bytearray):
        def __len__(self) -> int:
            return SPAN + 1

    with pytest.raises(Fault, match="not possible"):
        memory.map(100, Huge())
