"""What all links share: descriptors that are closed in order, and BPF_LINK_CREATE (Linux 5.7) with its errors in words."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Mapping

from purebpf.errors import Error, KernelError, NotLoaded, Unsupported
from purebpf.kernel.descriptor import LOWEST, Descriptor
from purebpf.kernel.errors import EMPTY, ENOTSUPP, failure
from purebpf.kernel.info import LinkInfo, link_info
from purebpf.kernel.link.options import Options
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.syscall import bpf
from purebpf.tables.enums import Command, LinkType

REPLACE = 1 << 2  # BPF_F_REPLACE
NOT_UPDATED = frozenset(
    (LinkType.RAW_TRACEPOINT, LinkType.TRACING, LinkType.PERF_EVENT, LinkType.KPROBE_MULTI, LinkType.UPROBE_MULTI)
)
UPDATING = {
    errno.EPERM: "Another program is there than the one that is to be replaced, or it may not be.",
    errno.EINVAL: "The new program is of another type or attach type than the one that is there.",
    errno.ENOLINK: "The link has been detached.",
}


class OnlyHere:
    """See `only_here`."""

    def __init__(self, detach: Callable[[], None]) -> None:
        self.detach = detach
        self.owner = os.getpid()

    def __call__(self) -> None:
        if os.getpid() == self.owner:
            self.detach()


def only_here(detach: Callable[[], None]) -> OnlyHere:
    """Of what has no link: only the process that attached it takes it away, not a child that was forked since."""
    return OnlyHere(detach)


def own(program: KernelProgram) -> Descriptor:
    """The program, held on to until its link is closed."""
    return Descriptor(fcntl.fcntl(program.handle, fcntl.F_DUPFD_CLOEXEC, LOWEST), program.descriptor.what)


class KernelLink:
    """An attached program. `mechanism` says how it is attached.

    Closing detaches, and does nothing the second time. When the interface, socket or event is gone by then, that is no error.
    `detach` is called before the descriptors are closed, `cleanup` afterwards; `replace` puts another program in its place
    where that is not the kernel's link's business.
    """

    def __init__(
        self,
        mechanism: str,
        descriptors: tuple[Descriptor, ...],
        detach: Callable[[], None] | None = None,
        cleanup: Callable[[], None] | None = None,
        replace: Callable[[KernelProgram], None] | None = None,
    ) -> None:
        self.mechanism = mechanism
        self.pinned = ""
        self._descriptors = descriptors
        self._detach = detach
        self._cleanup = cleanup
        self._replace = replace
        if isinstance(detach, OnlyHere) or cleanup is not None:  # which no descriptor takes away
            from purebpf.kernel.link.at_exit import close_at_exit

            close_at_exit(self)

    @property
    def info(self) -> LinkInfo:
        """Raises NotLoaded when it is closed, or when it is attached without a link of the kernel's."""
        if not self._descriptors:
            raise NotLoaded(f"This program is attached by {self.mechanism}, which has no link to ask.")
        return link_info(self._descriptors[0])

    @property
    def details(self) -> dict[str, object]:
        """What it is attached to and how, by the kernel's names in struct bpf_link_info; less on kernels before Linux 6.6."""
        from purebpf.kernel.link.details import details

        return details(self._link("tells nothing about itself"))

    @property
    def target(self) -> str:
        """What it is attached to, in one text; "" where the kernel does not tell."""
        from purebpf.kernel.link.details import target

        return target(self.details)

    def pin(self, path: str | os.PathLike[str]) -> str:
        """Keep it attached under a name in a BPF file system, also when this process ends; the absolute path (Linux 5.7)."""
        from purebpf.kernel.pins import pin

        name = os.path.abspath(path)
        pin(self._link("cannot be pinned"), name)
        self.pinned = name
        return name

    def unpin(self) -> None:
        """Remove the name that `pin` gave it. It stays attached until it is closed."""
        from purebpf.kernel.pins import unpin

        path, self.pinned = self.pinned, ""
        if not path:
            raise Error("This link is not pinned.")
        unpin(path)

    def update(self, program: KernelProgram, old: KernelProgram | None = None) -> None:
        """Put another program of the same type in the place of this one, at once and without a gap (Linux 5.7). `old`: only if
        that is the program there. Raises Unsupported for kinds that the kernel does not update: tracing, probes, events."""
        if self._replace is not None and old is None:
            return self._replace(program)
        link = self._link("cannot be updated")
        fields = {"link_fd": link.number, "new_prog_fd": program.handle}
        if old is not None:
            fields |= {"flags": REPLACE, "old_prog_fd": old.handle}
        answer = bpf(Command.LINK_UPDATE, fields)
        if answer < 0 and -answer in (errno.EINVAL, errno.EOPNOTSUPP, ENOTSUPP) and self.info.type in NOT_UPDATED:
            raise Unsupported(
                f"The kernel does not put another program in the place of one that is attached by {self.mechanism}: attach the "
                "new one, then close this link."
            )
        if answer < 0:
            raise failure(-answer, f"Updating {link.what}", first=(5, 7), feature="updates of links", reasons=UPDATING)

    def detach(self) -> None:
        """Take the program off its hook now; whoever else holds the link, or a pin of it, keeps one without effect (Linux 5.9).
        Links that the kernel cannot detach so are closed, which detaches them if nobody else holds them."""
        if self._descriptors and not self._descriptors[0].closed:
            bpf(Command.LINK_DETACH, {"link_fd": self._descriptors[0].number})
        self.close()

    @property
    def descriptor(self) -> Descriptor:
        """The kernel's link. Raises Unsupported where there is none."""
        return self._link("has no descriptor")

    def _link(self, otherwise: str) -> Descriptor:
        """The kernel's link. Raises Unsupported where it is attached without one."""
        if not self._descriptors or not any(word in self.mechanism for word in ("link", "raw tracepoint open")):
            raise Unsupported(f"This program is attached by {self.mechanism}, no link of the kernel's: it {otherwise}.")
        return self._descriptors[0]

    def close(self) -> None:
        if self._detach is not None or self._cleanup is not None:
            from purebpf.kernel.link.at_exit import forget

            forget(self)
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
