"""The peer of `python -m bench.events`: BCC's consumer of a ring buffer; its callback takes the record as `event()` does.

It is run by the Python that BCC is installed for. For each line on standard input: take all that is there, print the number of
records, nanoseconds and the sum of a field.
"""

import ctypes
import sys
import time

from bcc.libbcc import lib
from bcc.table import _RINGBUF_CB_TYPE


class Event(ctypes.Structure):
    _fields_ = [("number", ctypes.c_uint64), ("cpu", ctypes.c_uint16), ("kind", ctypes.c_uint16), ("size", ctypes.c_uint32)]


count = total = 0


def callback(context, data, size):
    global count, total
    event = ctypes.cast(data, ctypes.POINTER(Event)).contents
    count += 1
    total += event.number
    return 0


kept = _RINGBUF_CB_TYPE(callback)
ring = lib.bpf_new_ringbuf(int(sys.argv[1]), kept, None)
if not ring:
    sys.exit(2)
for _ in sys.stdin:
    count = total = 0
    start = time.process_time_ns()
    lib.bpf_consume_ringbuf(ring)
    print(count, time.process_time_ns() - start, total, flush=True)
