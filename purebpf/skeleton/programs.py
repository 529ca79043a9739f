"""A program of a package: loaded together with the others, run and attached by itself."""

from __future__ import annotations

from purebpf.errors import Unsupported
from purebpf.lang.run_given import check_given, context_of
from purebpf.tables.enums import AttachType, ProgramType
from purebpf.targets import HOOKED, targets_of, with_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from purebpf.engine import EngineLink, EngineProgram, RunResult
    from purebpf.skeleton.base import Skeleton
    from purebpf.spec import ProgramSpec

NEVER = (ProgramType.SYSCALL, ProgramType.STRUCT_OPS, ProgramType.SCHED_ACT)
IN_MAPS = (AttachType.XDP_DEVMAP, AttachType.XDP_CPUMAP)


class Program:
    """A program by its name; `spec` is the program as data."""

    def __init__(self, skeleton: Skeleton, spec: ProgramSpec) -> None:
        self._skeleton, self.spec, self.name = skeleton, spec, spec.name

    @property
    def loaded(self) -> EngineProgram:
        """The live program. Raises NotLoaded."""
        return self._skeleton.loaded_program(self.name)

    @property
    def info(self) -> Any:
        """What the kernel tells of it: id, tag, sizes, run counts. Raises NotLoaded, and Unsupported in the virtual machine."""
        found = getattr(self.loaded, "info", None)
        if found is None:
            raise Unsupported(f"`{self.name}` is loaded in the virtual machine, which keeps no such account of its programs")
        return found

    def run(self, packet: bytes | None = None, ctx: object = None, *, repeat: int = 1) -> RunResult:
        """Run it on a packet and/or a context, `repeat` times: by the kernel's test-run, or in the virtual machine. `ctx` is
        the context's bytes, its fields by name, or a record. Loads the package's programs where they are not loaded yet."""
        check_given(packet, ctx, repeat)
        self._skeleton.load_once()
        return self.loaded.run(data=packet, context=context_of(self.spec, ctx, packet), repeat=repeat)

    def attach(self, *target: object, **options: object) -> EngineLink:
        """Attach it, and load the package's programs where they are not loaded yet. What to attach to depends on the type: an
        interface for XDP and TC, a cgroup's folder, a socket ...; nothing for those that name it themselves. It is detached
        when the link is closed, or the package's programs are."""
        named = with_names(self.name, self.spec.type, self.spec.attach_type, target, options)
        return self._skeleton.attach_program(self.name, named)

    @property
    def type_name(self) -> str:
        return self.spec.type.name.lower()

    @property
    def needs_target(self) -> bool:
        """Whether it cannot be attached without being told to what."""
        return self.spec.type not in HOOKED or not (self.spec.attach_to or self.spec.attach_type in (AttachType.TRACE_ITER,))

    @property
    def attachable(self) -> bool:
        """Whether something calls it that it can be attached to; not those that others call, or that are run."""
        return self.spec.type not in NEVER and self.spec.attach_type not in IN_MAPS

    def usage(self) -> str:
        """How it is told what to attach to."""
        name, targets = self.name, targets_of(self.spec.type, self.spec.attach_type)
        if len(targets) > 1:
            return f"attach({name}=({', '.join(targets)}))"
        return f"attach({name}={targets[0].upper() if targets else '{option: value}'})"

    def __repr__(self) -> str:
        return f"<{self.type_name} program {self.name}{', loaded' if self._skeleton.is_loaded else ''}>"
