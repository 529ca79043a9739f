"""Sends the number 123 through a perf event ring, in assembly.

    sudo purebpf run examples/perf_ring_123_asm.py

A program is plain data: instructions made by constructors, put into a spec, loaded on an engine.
"""

from __future__ import annotations

import os

from purebpf.collection import choose_engine
from purebpf.engine import Engine, EventReader
from purebpf.isa.asm import FP, R0, R2, R3, R4, R5, Add, Exit, Fn, LoadMapPtr, Mov, Mov32, StoreImm, W, assemble
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType

BPF_F_CURRENT_CPU = 0xFFFFFFFF

EVENTS = MapSpec("events", MapType.PERF_EVENT_ARRAY, key_size=4, value_size=4, max_entries=0)

SEND = ProgramSpec(
    name="send",
    type=ProgramType.TRACEPOINT,
    attach_to="syscalls/sys_enter_getpgid",
    instructions=assemble(
        [
            StoreImm(FP, -4, 123, W),  # the record, on the stack
            LoadMapPtr(R2, "events"),
            Mov32.imm(R3, BPF_F_CURRENT_CPU),  # flags: this CPU's ring
            Mov.reg(R4, FP),
            Add.imm(R4, -4),  # r4: address of the record
            Mov32.imm(R5, 4),  # r5: its size
            Fn.perf_event_output.call(),  # r1 still holds the context
            Mov32.imm(R0, 0),
            Exit(),
        ]
    ),
)


def read(engine: Engine, reader: EventReader) -> int:
    """The number in the first event that arrives within two seconds."""
    event = reader.read(2.0)[0]
    return int.from_bytes(event.data[:4], "little")


def main() -> None:
    engine, _ = choose_engine()
    events = engine.create_map(EVENTS)
    program = engine.load_program(SEND, {"events": events})
    reader = engine.open_events(events)
    link = engine.attach(program, {})
    try:
        os.getpgid(0)  # the system call that the program waits for
        print("got", read(engine, reader))
    finally:
        for resource in (link, reader, program, events):
            resource.close()


if __name__ == "__main__":
    main()
