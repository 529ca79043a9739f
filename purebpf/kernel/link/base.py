"""What all links share: descriptors that are closed in order, and BPF_LINK_CREATE (Linux 5.7) with its errors in words."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping

from purebpf.errors import KernelError, NotLoaded
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import EMPTY, failure
from purebpf.kernel.info import LinkInfo, link_info
from purebpf.kernel.link.options import Options
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.syscall import bpf
from purebpf.tables.enums import Command


class KernelLink:
    """An attached program. `mechanism` says how it is attached.

    Closing detaches, and does nothing the second time. When the interface, socket or event is gone by then, that is no error.
    `detach` is called before the descriptors are closed, `cleanup` afterwards.
    """

    def __init__(
        self,
        mechanism: str,
        descriptors: tuple[Descriptor, ...],
        detach: Callable[[], None] | None = None,
        cleanup: Callable[[], None] | None = None,
    ) -> None:
        self.mechanism = mechanism
        self._descriptors = descriptors
        self._detach = detach
        self._cleanup = cleanup

    @property
    def info(self) -> LinkInfo:
        """Raises NotLoaded when it is closed, or when it is attached without a link of the kernel's."""
        if not self._descriptors:
            raise NotLoaded(f"This program is attached by {self.mechanism}, which has no link to ask.")
        return link_info(self._descriptors[0])

    def close(self) -> None:
        detach, self._detach = self._detach, None
        if detach:
            detach()
        for descriptor in self._descriptors:
            descriptor.close()
        cleanup, self._cleanup = self._cleanup, None
        if cleanup:
            cleanup()

    def __enter__(self) -> KernelLink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<link: {self.mechanism}>"


def create_link(
    program: KernelProgram,
    target: str,
    fields: Mapping[str, int],
    *,
    needs: tuple[str, ...],
    first: tuple[int, int],
    feature: str,
    reasons: Mapping[int, str] = EMPTY,
) -> Descriptor:
    """BPF_LINK_CREATE. `target` is what it is attached to, in words. Raises KernelError or Unsupported."""
    answer = bpf(Command.LINK_CREATE, {"prog_fd": program.handle, **fields})
    if answer < 0:
        what = f"Attaching {program.descriptor.what} to {target}"
        raise failure(-answer, what, needs=needs, first=first, feature=feature, reasons=reasons)
    return Descriptor(answer, f"the link of {program.descriptor.what} to {target}")


def interface_index(options: Options) -> int:
    """The index of the network interface that the option `interface` names, in this network namespace."""
    import socket  # costs milliseconds, which tracing programs need not pay

    given = options.get("interface")
    if isinstance(given, bool) or not isinstance(given, (str, int)):
        said = "needs the option 'interface'" if given is None else f"got interface={given!r}"
        raise options.wrong(f"{said}, a name or an index")
    try:
        if isinstance(given, int):
            socket.if_indextoname(given)
            return given
        return socket.if_nametoindex(given)
    except (OSError, OverflowError) as error:
        there = ", ".join(name for _, name in socket.if_nameindex())
        raise KernelError(
            errno.ENODEV, f"There is no network interface {given!r} in this network namespace. There are: {there}."
        ) from error


def hook(program: KernelProgram, options: Options) -> str:
    """What to attach to: the option `event`, else what the program itself names."""
    name = options.text("event", program.spec.attach_to)
    if not name:
        raise options.wrong("needs the option 'event', as the program itself names none")
    return name
