"""The kernel as an engine: the interface of `purebpf/engine.py` over bpf(2)."""

from __future__ import annotations

import os
from collections.abc import Mapping

from purebpf.errors import Error, KernelError
from purebpf.kernel import cpus
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.map import KernelMap, create_map
from purebpf.kernel.program import KernelProgram, load_program
from purebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from purebpf.tables.enums import MapType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from purebpf.engine import EngineMap, EngineProgram
    from purebpf.kernel.link.base import KernelLink
    from purebpf.kernel.reader import Reader
    from purebpf.kernel.user_ring import UserRingWriter


VERSIONS = {"mmapable": (5, 5), "bpf_loop": (5, 17), "iter_num": (6, 4), "kernel_pointers": (5, 11), "kernel_casts": (6, 2)}


class KernelEngine:
    """The running kernel. Whether it may be used says `purebpf.kernel.probe.permitted()`."""

    name = "kernel"

    @property
    def identity(self) -> tuple[str, ...]:
        """This kernel, as it was built; another user may have fewer privileges, which the verifier looks at."""
        system = os.uname()
        return self.name, system.release, system.version, system.machine, str(os.geteuid())

    @property
    def token(self) -> str:
        """The BPF file system whose token this process uses, as it has no privilege outside of its user namespace (Linux 6.9);
        "" for a process that uses none."""
        from purebpf.kernel.token import find

        token = find()
        return "" if token is None else token.path

    @property
    def possible_cpus(self) -> int:
        """How many values a per-CPU map has."""
        return cpus.possible()

    def has(self, feature: str) -> bool:
        """Whether the kernel takes programs with a feature: one of `purebpf.kernel.probe.FEATURES`, "cpu2" to "cpu4" for a
        level of the instruction set, "bpf_loop" or "iter_num". True where that cannot be found out: what is wrong will show."""
        if feature in VERSIONS:  # a probe would want BTF
            return kernel_version() >= VERSIONS[feature]
        from purebpf.kernel.probe import cpu_level, has_feature

        try:
            return cpu_level() >= int(feature[3:]) if feature.startswith("cpu") else has_feature(feature)
        except KernelError:
            return True

    def together(self, spec: CollectionSpec) -> AbstractContextManager[object]:
        """Within the block, the types that the programs and maps of an object file have in common are loaded once."""
        if spec.types:
            from purebpf.kernel.together import together

            return together(spec)
        from contextlib import nullcontext

        return nullcontext()

    def create_map(self, spec: MapSpec) -> KernelMap:
        """Create it, write its contents, freeze it if it is to be frozen; or open it, if it is pinned already where it is to
        be. Raises KernelError and Unsupported."""
        if spec.pin:
            from purebpf.kernel.opening import shared_map

            return shared_map(spec, spec.pin)
        return create_map(spec)

    def open_map(self, spec: MapSpec, existing: str | int) -> KernelMap:
        """The map that is pinned at a path, or of an id. Raises Error when it is not as the spec says."""
        from purebpf.kernel.opening import existing_map

        return existing_map(spec, existing)

    def load_program(
        self,
        spec: ProgramSpec,
        maps: Mapping[str, EngineMap],
        log_level: int = 0,
        *,
        part_of: EngineProgram | None = None,
    ) -> KernelProgram:
        """Raises VerifierError when the verifier rejects it. `log_level` 1 or 2 keeps its log of a success as `log`."""
        if part_of is not None and not isinstance(part_of, KernelProgram):
            raise Error(
                f"The program {part_of.spec.name!r} is not loaded in the kernel; nothing of it can be replaced or traced there."
            )
        return load_program(spec, maps, log_level, part_of)

    def attach(self, program: EngineProgram, options: Mapping[str, object]) -> KernelLink:
        """Attach by the program's type; which options there are: docs/kernel.md, or the error for a wrong one."""
        if not isinstance(program, KernelProgram):
            raise Error(f"The program {program.spec.name!r} is not loaded in the kernel; it cannot be attached there.")
        from purebpf.kernel.link import attach

        return attach(program, options)

    def open_writer(self, ring: EngineMap) -> UserRingWriter:
        """Start writing a user ring buffer (Linux 6.1)."""
        if not isinstance(ring, KernelMap):
            raise Error(f"The map {ring.spec.name!r} is not in the kernel; nothing can be sent by it there.")
        from purebpf.kernel.user_ring import UserRingWriter

        return UserRingWriter(ring)

    def open_events(self, events: EngineMap, size: int | None = None, *, watermark: int = 0, overwrite: bool = False) -> Reader:
        """Start reading a ring buffer or a perf event array. Of the latter's rings `size` is bytes, a power of 2 (64 KiB); the
        reader is woken when `watermark` bytes are there; with `overwrite` a full ring keeps the newest (Linux 4.7)."""
        if not isinstance(events, KernelMap):
            raise Error(f"The map {events.spec.name!r} is not in the kernel; its events cannot be read there.")
        if events.spec.type is MapType.RINGBUF:
            from purebpf.kernel.ring import RingReader

            if size is not None or watermark or overwrite:
                raise Error(
                    f"{events.descriptor.what} is a ring buffer: size, watermark and overwrite are of perf event arrays."
                )
            return RingReader(events)
        from purebpf.kernel.perf import DEFAULT_BYTES, PerfReader

        return PerfReader(events, DEFAULT_BYTES if size is None else size, watermark=watermark, overwrite=overwrite)
