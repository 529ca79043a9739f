"""Programs on what the processor counts, and on accesses to an address. Software events are in test_links_tracing.py."""

from __future__ import annotations

import ctypes
import errno

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.errors import Error, KernelError

pytestmark = pytest.mark.kernel
counts = bpf.Array[u64](max_entries=1)


@bpf.perf_event
def sample(ctx: bpf.PerfEventContext) -> None:
    counts[0] += 1


def attached(**options: object) -> bpf.Attachment:
    """Attach it to this thread, or skip where the machine has no such event."""
    try:
        return sample.attach(engine="kernel", tid=0, **options)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.EOPNOTSUPP):
            pytest.skip(str(error))
        raise


@pytest.mark.parametrize("length", [4, 8])
def test_each_write_to_an_address_is_counted(kernel: object, length: int) -> None:
    value, other = ctypes.c_uint64(0), ctypes.c_uint64(0)
    with attached(event="breakpoint", address=ctypes.addressof(value), length=length):
        for number in range(3):
            value.value = number
        other.value = 7
        _ = value.value
        assert counts[0] == 3


def test_reads_are_counted_where_they_are_asked_for(kernel: object) -> None:
    value = ctypes.c_uint64(0)
    with attached(event="breakpoint", address=ctypes.addressof(value), access="read-write"):
        value.value = 5
        assert value.value == 5
        assert counts[0] >= 2


def test_calls_of_a_function_are_counted(kernel: object) -> None:
    function = ctypes.CDLL(None).labs
    address = ctypes.cast(function, ctypes.c_void_p).value
    with attached(event="breakpoint", address=address, access="execute"):
        function(-3)
        function(4)
        assert counts[0] == 2


@pytest.mark.parametrize("event", ["cpu-cycles", "instructions"])
def test_what_the_processor_counts(kernel: object, event: str) -> None:
    with attached(event=event, sample_period=100_000):
        for _ in range(1_000_000):
            pass
        assert counts[0] > 0


@pytest.mark.parametrize(
    "options, words",
    [
        ({"event": "breakpoint"}, "needs the option 'address'"),
        ({"event": "breakpoint", "address": 4096, "length": 3}, "none of 1, 2, 4, 8"),
        ({"event": "breakpoint", "address": 4096, "access": "read"}, "one of 'write', 'read-write', 'execute'"),
        ({"event": "page-faults", "address": 4096}, "are for event='breakpoint'"),
        ({"event": "cycles"}, "'cpu-cycles', 'instructions'"),
    ],
)
def test_wrong_options_are_told(kernel: object, options: dict[str, object], words: str) -> None:
    with pytest.raises(Error, match=words):
        sample.attach(engine="kernel", tid=0, **options)
