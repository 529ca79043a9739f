"""Programs that belong to one network device: it runs them itself (offload, Linux 4.16), or they ask it about packets by kernel
functions such as bpf_xdp_metadata_rx_hash (Linux 6.3; kernel/bpf/offload.c). The device is told when they are loaded.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.data import replace
from purebpf.errors import KernelError, Unsupported, VerifierError
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import came_with, kernel_version
from purebpf.kernel.link.base import interface_index
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.xdp import BOUND_ONLY, OPTIONS
from purebpf.kernel.map import KernelMap
from purebpf.kernel.program import KernelProgram
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.engine import EngineMap, EngineProgram

UNABLE = (errno.EINVAL, errno.EOPNOTSUPP)
METADATA = "bpf_xdp_metadata_"
OFFLOAD_SINCE, METADATA_SINCE = (4, 16), (6, 3)
MAPS = (MapType.HASH, MapType.ARRAY)  # that devices may have


class DeviceEngine(KernelEngine):
    """The kernel, for programs of one interface (a name or an index). With `offload` its device has the programs and their
    maps; else those that ask it about packets are bound to it, and others are loaded as always."""

    def __init__(self, interface: str | int, *, offload: bool = False) -> None:
        self.interface = interface
        self.offload = offload
        self.device = interface_index(Options("XDP", {"interface": interface}, OPTIONS))

    def create_map(self, spec: MapSpec) -> KernelMap:
        """Raises Unsupported for what the device cannot hold."""
        if not self.offload:
            return super().create_map(spec)
        if spec.type not in MAPS:
            raise Unsupported(
                f"The map {spec.name!r} ({spec.type.name.lower()}) cannot be on a device: those of {self.interface} are hashes "
                "and arrays at most."
            )
        try:
            return super().create_map(replace(spec, device=self.device))
        except KernelError as error:
            raise self._unable(f"The map {spec.name!r}", error) from error

    def load_program(
        self,
        spec: ProgramSpec,
        maps: Mapping[str, EngineMap],
        log_level: int = 0,
        *,
        part_of: EngineProgram | None = None,
    ) -> KernelProgram:
        """Raises Unsupported where the driver runs no programs on its device, or tells nothing of packets."""
        asks = asked(spec)
        if spec.type is not ProgramType.XDP or not (self.offload or asks):
            return super().load_program(spec, maps, log_level, part_of=part_of)
        first = OFFLOAD_SINCE if self.offload else METADATA_SINCE
        if kernel_version() < first:
            raise Unsupported(f"The program {spec.name!r} is for the device of {self.interface} {came_with(first)}.")
        bound = replace(spec, device=self.device, flags=spec.flags | (0 if self.offload else BOUND_ONLY))
        try:
            return super().load_program(bound, maps, log_level, part_of=part_of)
        except VerifierError:
            raise
        except KernelError as error:
            raise self._unable(f"The program {spec.name!r}", error) from error

    def _unable(self, what: str, error: KernelError) -> KernelError | Unsupported:
        """The device's answer in words."""
        if not self.offload or error.errno not in UNABLE:
            return error
        return Unsupported(
            f"{what} cannot be on the device of {self.interface}: its driver runs no programs there (offload). Use "
            "mode='native' or 'generic', which the processor runs."
        )


def asked(spec: ProgramSpec) -> str:
    """The kernel function by which a program asks its device about packets; "" for one that asks nothing."""
    names = (instruction.symbol for instruction in spec.instructions if instruction.symbol)
    return next((name for name in names if name.startswith(METADATA)), "")
