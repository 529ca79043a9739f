"""What a program is compiled for."""

from __future__ import annotations

from purebpf.data import data, replace

OPTIONAL = ("may_goto", "iter_num", "bpf_loop", "dead_registers", "kernel_pointers", "kernel_casts")
"""Features of engines that a program can do without."""


@data
class Options:
    """`cpu` is the instruction set's level, 1 to 4 (4 needs Linux 6.6). `may_goto` allows loops without a provable end, which
    needs Linux 6.9; where that is missing they go over an iterator of the kernel's with `iter_num` (6.4), and with `bpf_loop`
    the kernel turns them (5.17). `dead_registers` relies on a verifier that forgets what nobody reads any more, which Linux
    6.15 brought. `kernel_pointers` loads through pointers into the kernel that the verifier knows (5.11 for that to the
    current task), `kernel_casts` has it make one of any address (6.2). `big_endian` is the target's byte order. `debugging`
    leaves out what serves a debugger only: for running the program as Python. `btf` is a file with the types of another kernel,
    by which the program is compiled; without one it is the running kernel. `sparing` is for a program that the verifier found
    too complex: longer, with less for it to follow."""

    cpu: int = 3
    may_goto: bool = True
    iter_num: bool = True
    bpf_loop: bool = True
    dead_registers: bool = True
    kernel_pointers: bool = True
    kernel_casts: bool = True
    big_endian: bool = False
    debugging: bool = False
    btf: str = ""
    sparing: bool = False

    @property
    def old_kernels(self) -> bool:
        """Whether kernels before Linux 6.6 may run the program, so that it has to bear with what they do otherwise."""
        return self.cpu < 4

    @property
    def simple_offsets(self) -> bool:
        """Whether the verifier may know a loop's counter that is used as an offset into the packet (see `context.py`)."""
        return self.may_goto and self.dead_registers

    def fit(self, target: Options) -> bool:
        """Whether the target takes what was compiled for these."""
        return (
            self.cpu <= target.cpu
            and self.big_endian == target.big_endian
            and self.btf == target.btf
            and (self.sparing or not target.sparing)
            and all(getattr(target, name) or not getattr(self, name) for name in OPTIONAL)
        )

    def within(self, target: Options) -> Options:
        """These, without the features that the target lacks, by the types that it names if these name none."""
        return replace(
            self,
            btf=self.btf or target.btf,
            sparing=self.sparing or target.sparing,
            **{name: getattr(self, name) and getattr(target, name) for name in OPTIONAL},
        )


def for_kernels(first: tuple[int, int]) -> Options:
    """What a kernel such as (5, 10) and every later one takes."""
    from purebpf.tables.since import feature_since

    cpu = next((level for level in (4, 3, 2) if feature_since(f"cpu{level}") <= first), 1)
    return replace(Options(cpu), **{name: feature_since(name) <= first for name in OPTIONAL})
