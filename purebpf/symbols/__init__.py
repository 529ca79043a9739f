"""Names for addresses: which function of the kernel, of a program or of a library each frame of a call stack is in.

Works on plain integers, so stacks of any origin can be read: `bpf.StackTrace`, `bpf.get_stack`, a dump. Sources are
/proc/kallsyms, /proc/PID/maps, ELF symbol tables, separate debug files, the maps of JIT compilers (/tmp/perf-PID.map) and the
vdso. An address without a name stays one that says where it lies; no name is guessed. Inlined functions are part of their
caller.
"""

from __future__ import annotations

from purebpf.symbols.build_ids import BuildIdSymbols
from purebpf.symbols.folded import Folded, Row
from purebpf.symbols.frame import Frame
from purebpf.symbols.kernel import KernelSymbols
from purebpf.symbols.process import ProcessSymbols

__all__ = ["BuildIdSymbols", "Folded", "Frame", "KernelSymbols", "ProcessSymbols", "Row"]
