"""Programs in the kernel: load, run once, look at (bpf(2) PROG_LOAD; kernel/bpf/syscall.c:bpf_prog_load)."""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping

from purebpf.errors import Error, KernelError, VerifierError
from purebpf.isa.codec import encode
from purebpf.kernel import debug_info, verifier
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure, kernel_version, minimum
from purebpf.kernel.info import ProgramInfo, program_info
from purebpf.kernel.linked import Names, linked
from purebpf.kernel.map import KernelMap
from purebpf.kernel.names import with_name
from purebpf.kernel.privileges import for_program
from purebpf.kernel.syscall import Pinned, address, pin
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import ProgramType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.engine import EngineMap, RunResult
    from purebpf.kernel.together import Together

ANY_KERNEL = (5, 0)  # since then probes are not asked for the very kernel that they were made for
BY_TYPE = frozenset({ProgramType.TRACING, ProgramType.LSM})

LOAD_REASONS = {
    errno.E2BIG: "It has more instructions than the kernel takes (1,000,000; 4,096 without CAP_BPF), or the verifier had to "
    "look at more than a million.",
    errno.EINVAL: "The kernel takes its type, its attach type, its flags or an instruction for invalid.",
    errno.EFAULT: "The verifier found a fault in itself or in the request; this is a kernel bug worth reporting.",
    errno.ENOMEM: "The kernel has not enough memory to verify it.",
    errno.ENOSPC: "The verifier's log is larger than the kernel can give.",
}


class KernelProgram:
    """A program in the kernel. `log` is the verifier's, when one was asked for; `types` the numbers of its functions in the BTF
    that the kernel was told, by name."""

    def __init__(
        self, spec: ProgramSpec, descriptor: Descriptor, log: str = "", types: Mapping[str, int] | None = None
    ) -> None:
        self.spec = spec
        self.descriptor = descriptor
        self.log = log
        self.types = types or {}

    @property
    def handle(self) -> int:
        """Its descriptor: what a program array stores."""
        return self.descriptor.number

    def run(self, *, data: bytes | None = None, context: bytes | None = None, repeat: int = 1) -> RunResult:
        """Run it on a packet and/or a context. Needs Linux 4.12; a context 5.2, raw tracepoints 5.10, syscall programs 5.14.

        Frames need at least 14 bytes; without `data` a program on packets gets 14 zeros. A raw tracepoint or syscall program
        takes only `context`, once. Raises Unsupported for a type that the kernel has no test run for, KernelError otherwise.
        """
        from purebpf.kernel import testrun

        return testrun.run(self.descriptor, self.spec.type, data, context, repeat)

    def run_live(self, data: bytes, *, context: bytes | None = None, repeat: int = 1, batch: int = 0) -> RunResult:
        """Run an XDP program on `repeat` copies of a frame that are real: they are passed on, redirected, transmitted or
        dropped as it says. Frames come from the interface `ingress_ifindex` of the context, or the loopback one; `batch` are
        processed at once (64). The result has the time of a run only. Needs Linux 5.18."""
        from purebpf.kernel import testrun

        return testrun.run_live(self.descriptor, self.spec.type, data, context, repeat, batch)

    @property
    def info(self) -> ProgramInfo:
        return program_info(self.descriptor)

    @property
    def verified_instructions(self) -> int:
        """How many instructions the verifier went through, all paths counted. Before Linux 5.16 only a log tells (else 0)."""
        return self.info.verified_instructions or verifier.count_verified(self.log)

    def close(self) -> None:
        """Give up this process's reference; the program lives on while it is attached or in a program array."""
        self.descriptor.close()

    def __enter__(self) -> KernelProgram:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load_program(
    spec: ProgramSpec, maps: Mapping[str, EngineMap], log_level: int = 0, part_of: KernelProgram | None = None
) -> KernelProgram:
    """Load it. `log_level` 1 or 2 keeps the verifier's log of a success as well.

    CO-RE relocations are resolved against this kernel's types (Linux 5.4). Raises VerifierError (with the log) when the
    verifier rejects it, KernelError or Unsupported for all else, Error for a map that is not in `maps` and for a relocation
    that makes no sense.
    """
    if spec.types and spec.functions and spec.functions[0].type:
        from purebpf.kernel.together import common_to

        with common_to(spec) as common:
            return _loaded(spec, maps, log_level, part_of, common)
    return _loaded(spec, maps, log_level, part_of)


def _loaded(
    spec: ProgramSpec,
    maps: Mapping[str, EngineMap],
    log_level: int,
    part_of: KernelProgram | None,
    common: Together | None = None,
) -> KernelProgram:
    """Load it; `common` has the types of a program of an object file."""
    what = f"the program {spec.name!r} ({spec.type.name.lower()})"
    with Names(spec) as named:
        resolver = common.resolver() if common is not None and spec.relocations else None
        code = linked(spec, lambda name: _descriptor(name, spec, maps), named, resolver)
        return _sent(spec, encode(code, sys.byteorder), maps, log_level, part_of, common, what, named)


def _sent(
    spec: ProgramSpec,
    code: bytes,
    maps: Mapping[str, EngineMap],
    log_level: int,
    part_of: KernelProgram | None,
    common: Together | None,
    what: str,
    named: Names,
) -> KernelProgram:
    """Give the program to the kernel; `code` has the numbers of what it names."""
    pinned, license = pin(code), pin(spec.license.encode())
    fields: verifier.Fields = {
        "prog_type": int(spec.type),
        "insn_cnt": len(code) // 8,
        "insns": address(pinned),
        "license": address(license),
        "prog_flags": spec.flags,
        "expected_attach_type": int(spec.attach_type or 0),
        "prog_ifindex": spec.device,
    }
    if spec.type is ProgramType.KPROBE and kernel_version() < ANY_KERNEL:
        from purebpf.kernel.vdso import version_code

        fields["kern_version"] = version_code()
    log = ""

    def attempt(name: bytes) -> int:
        nonlocal log
        answer, log = verifier.load({**fields, "prog_name": name}, log_level)
        return answer

    if spec.requires:
        from purebpf.kernel.missing import unseen

        if lacking := unseen(spec):
            raise lacking
    told, held = _told(spec, maps, what, fields, common)
    with told, _hook(spec, fields) if part_of is None else _part(spec, fields, part_of):
        if named.calls is not None:
            named.calls.tell(fields)
        answer = with_name(spec.name, attempt)
    if answer < 0:
        if named.calls is not None and named.calls.reached(log):
            raise named.calls.missing()
        raise _rejected(-answer, spec, what, log)
    return KernelProgram(spec, Descriptor(answer, what), log if log_level else "", debug_info.numbers(spec, held))


def _hook(spec: ProgramSpec, fields: verifier.Fields) -> Descriptor:
    """Have the fields tell the hook of a program that is attached by the number of a type (Linux 5.5), as long as the result is
    open. Raises Error, with similar names, when the kernel has no such hook."""
    if spec.type is ProgramType.STRUCT_OPS:
        from purebpf.kernel.struct_ops import member_index

        fields["attach_btf_id"], fields["expected_attach_type"] = member_index(*spec.attach_to.split("."))
        return Descriptor.none()
    if spec.type not in BY_TYPE or not spec.attach_to:
        return Descriptor.none()
    from purebpf.kernel.hooks import open_hook

    number, module = open_hook(spec)
    fields["attach_btf_id"] = number
    if not module.closed:
        fields["attach_btf_obj_fd"] = module.number
    return module


def _part(spec: ProgramSpec, fields: verifier.Fields, whole: KernelProgram) -> Descriptor:
    """Have the fields tell the function of a loaded program that this one replaces or traces. Raises Error for one that cannot
    be."""
    able: Mapping[str, int] = {function.name: function.type for function in whole.spec.functions if function.type}
    to, none = "replace", "none: mark them @bpf.global_subprogram"
    if spec.type is not ProgramType.EXT:
        able, to, none = whole.types or able, "trace", "none that the kernel knows"
    if spec.attach_to not in able:
        known = ", ".join(able) or none
        raise Error(f"The program {whole.spec.name!r} has no function {spec.attach_to!r} to {to}; it has {known}.")
    fields["attach_prog_fd"], fields["attach_btf_id"] = whole.handle, able[spec.attach_to]
    return Descriptor.none()


def _told(
    spec: ProgramSpec, maps: Mapping[str, EngineMap], what: str, fields: verifier.Fields, common: Together | None
) -> tuple[Descriptor, list[Pinned]]:
    """Have the fields tell functions and lines, as long as the results are kept and open."""
    if spec.types_of:
        return debug_info.share(spec, maps, fields)
    if common is None:
        return debug_info.tell(spec, what, fields)
    from purebpf.kernel.together import tell

    return Descriptor.none(), tell(common, spec, fields)


def _descriptor(name: str, spec: ProgramSpec, maps: Mapping[str, EngineMap]) -> int:
    """That of a map which the program uses."""
    if name not in maps:
        there = ", ".join(maps) or "none"
        raise Error(f"The program {spec.name!r} uses the map {name!r}, which was not given to load it with. Given: {there}.")
    map = maps[name]
    if not isinstance(map, KernelMap):
        raise Error(f"The map {name!r} of the program {spec.name!r} does not belong to the kernel but to {type(map).__name__}.")
    return map.descriptor.number


def _rejected(number: int, spec: ProgramSpec, what: str, log: str) -> Error:
    """The exception for a failed load: VerifierError when the verifier said something."""
    from purebpf.kernel.missing import missing

    if log.strip() and number != errno.EPERM:
        if lacking := missing(spec, log):
            return lacking
        error = VerifierError(number, f"The kernel's verifier rejected {what}. The end of its log:\n{verifier.tail(log)}", log)
        if spec.relocations:
            from purebpf.kernel.relocations import without_answer

            error.unresolved = without_answer(spec)
        return error
    first, feature = _newest(spec)
    other = failure(
        number,
        f"Loading {what}",
        needs=for_program(spec.type),
        first=first,
        feature=feature,
        reasons=LOAD_REASONS,
    )
    if isinstance(other, KernelError) and number != errno.EPERM:
        return missing(spec, log) or other
    return other


def _newest(spec: ProgramSpec) -> tuple[tuple[int, int] | None, str]:
    """What came last, the type or the hook: its first kernel and its name."""
    first, feature = minimum(spec.type), f"{spec.type.name.lower()} programs"
    if spec.attach_type is None:
        return first, feature
    hook = minimum(spec.attach_type)
    return (hook, f"{feature} for {spec.attach_type.name.lower()}") if first and hook and hook > first else (first, feature)
