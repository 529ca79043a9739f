"""One map element per system call, with as little Python around the call as there can be.

A `Slot` is memory for a key and a value with a prepared attribute for each command, so that an operation copies a key in,
makes the call and copies a value out. `quick_call` gives 0 or -1 without errno: the caller makes a lookup that failed again by
the call that tells why.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

from purebpf.kernel.syscall import NUMBERS, bpf_call
from purebpf.tables.attr import INTEGERS, SIZES
from purebpf.tables.enums import Command

Arguments = tuple[ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint]
LAYOUT = INTEGERS["ELEM"]
SIZE = SIZES["ELEM"]

_quick: Callable[..., int] | None = None
_told: Callable[..., int] | None = None


def quick_call() -> Callable[..., int]:
    """syscall(3) with arguments as `Arguments`, which need no conversion; gives 0 or -1."""
    global _quick
    if _quick is None:
        bpf_call()  # says what is missing on machines that have no number
        function = ctypes.CDLL(None)["syscall"]
        function.restype = ctypes.c_long
        _quick = function
    return _quick


def _told_function() -> Callable[..., int]:
    """The same, which keeps the errno for `ctypes.get_errno`."""
    global _told
    if _told is None:
        function = ctypes.CDLL(None, use_errno=True)["syscall"]
        function.restype = ctypes.c_long
        _told = function
    return _told


class Slot:
    """Key and value memory and the attributes that point there. Not shared while in use."""

    __slots__ = (
        "_attributes",
        "delete",
        "first",
        "flags",
        "key",
        "key_room",
        "lookup",
        "next",
        "next_key",
        "take",
        "update",
        "value",
    )

    def __init__(self, descriptor: int, key_size: int, value_size: int) -> None:
        self.key_room = ctypes.create_string_buffer(max(key_size, 1))
        self.key = memoryview(self.key_room).cast("B")[:key_size]
        self.next_key = ctypes.create_string_buffer(max(key_size, 1))
        self.value = ctypes.create_string_buffer(max(value_size, 1))
        key, value = (ctypes.addressof(room) for room in (self.key_room, self.value))
        keyless = not key_size
        self._attributes: list[object] = []
        self.lookup, _ = self._prepare(Command.MAP_LOOKUP_ELEM, descriptor, 0 if keyless else key, value)
        self.take, _ = self._prepare(Command.MAP_LOOKUP_AND_DELETE_ELEM, descriptor, 0 if keyless else key, value)
        self.update, self.flags = self._prepare(Command.MAP_UPDATE_ELEM, descriptor, 0 if keyless else key, value)
        self.delete, _ = self._prepare(Command.MAP_DELETE_ELEM, descriptor, key, 0)
        self.first, _ = self._prepare(Command.MAP_GET_NEXT_KEY, descriptor, 0, ctypes.addressof(self.next_key))
        self.next, _ = self._prepare(Command.MAP_GET_NEXT_KEY, descriptor, key, ctypes.addressof(self.next_key))

    def _prepare(self, command: Command, descriptor: int, key: int, value: int) -> tuple[Arguments, ctypes.c_uint64]:
        """The arguments of a call, and the attribute's flags, which commands without flags want to be 0."""
        attribute = ctypes.create_string_buffer(SIZE)
        ctypes.c_uint32.from_buffer(attribute, LAYOUT["map_fd"][0]).value = descriptor
        ctypes.c_uint64.from_buffer(attribute, LAYOUT["key"][0]).value = key
        ctypes.c_uint64.from_buffer(attribute, LAYOUT["value"][0]).value = value
        self._attributes.append(attribute)
        number = ctypes.c_long(NUMBERS[os.uname().machine].bpf)
        arguments = number, ctypes.c_int(int(command)), ctypes.c_void_p(ctypes.addressof(attribute)), ctypes.c_uint(SIZE)
        return arguments, ctypes.c_uint64.from_buffer(attribute, LAYOUT["flags"][0])


def told_call(arguments: Arguments) -> int:
    """The same call with its answer, or minus the errno."""
    result = _told_function()(*arguments)
    return -ctypes.get_errno() if result < 0 else result
