"""What a program is compiled for."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Options:
    """`cpu` is the instruction set's level, 1 to 4 (4 needs Linux 6.6). `may_goto` allows loops without a provable end, which
    needs Linux 6.9; with `bpf_loop` the kernel turns them where that is missing (5.17). `big_endian` is the target's byte
    order. `debugging` leaves out what serves a debugger only: for running the program as Python."""

    cpu: int = 3
    may_goto: bool = True
    bpf_loop: bool = True
    big_endian: bool = False
    debugging: bool = False

    def within(self, target: Options) -> Options:
        """These, without the ways of making loops that the target lacks."""
        return replace(self, may_goto=self.may_goto and target.may_goto, bpf_loop=self.bpf_loop and target.bpf_loop)

    @property
    def old_kernels(self) -> bool:
        """Whether kernels before Linux 6.6 may run the program, so that it has to bear with what they do otherwise."""
        return self.cpu < 4
