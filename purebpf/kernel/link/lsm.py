"""Programs on security hooks (Linux 5.7; kernel/bpf/bpf_lsm.c). They run only where the security module `bpf` is active."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from purebpf.errors import Unsupported
from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.tracing import attach_typed
from purebpf.kernel.program import KernelProgram

OPTIONS = {"cookie": "a number that bpf_get_attach_cookie returns (Linux 5.19)"}
ACTIVE = "/sys/kernel/security/lsm"
REASONS = {errno.EBUSY: "The hook has programs in one mode already, and this one is of another."}


def attach(program: KernelProgram, given: Mapping[str, object], links: bool = True) -> KernelLink:
    """Raises Unsupported where the kernel would attach the program and then never call it."""
    options = Options("LSM", given, OPTIONS)
    check_active(program)
    return attach_typed(program, options.number("cookie", 0), links, REASONS)


def check_active(program: KernelProgram) -> None:
    """Raises Unsupported where the kernel would never call a program of a security hook."""
    active = active_modules() or unmounted_modules()
    if active and "bpf" not in active:
        raise Unsupported(
            f"Attaching {program.descriptor.what} to {program.spec.attach_to} would do nothing: the security module bpf is not "
            f"active. Active are {', '.join(active)} ({ACTIVE}). Boot with lsm={','.join((*active, 'bpf'))}; it takes "
            "CONFIG_BPF_LSM=y (Linux 5.7)."
        )


def active_modules(path: str = ACTIVE) -> tuple[str, ...]:
    """The kernel's active security modules; empty where they cannot be found out, since securityfs is not mounted."""
    try:
        with open(path) as file:
            return tuple(file.read().strip().split(","))
    except OSError:
        return ()


def unmounted_modules() -> tuple[str, ...]:
    """The same from a securityfs that is mounted nowhere (Linux 5.2); empty where that is not permitted."""
    from purebpf.kernel.aside import aside

    folder = aside("securityfs")
    if folder is None:
        return ()
    with folder:
        return active_modules(f"/proc/self/fd/{folder.number}/lsm")
