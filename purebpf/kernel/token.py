"""BPF tokens: rights that a BPF file system delegates to processes of a user namespace (Linux 6.9; kernel/bpf/token.c).

Whoever is privileged mounts such a file system for a container, with `delegate_cmds`, `delegate_maps`, `delegate_progs` and
`delegate_attachs`. Inside, capabilities count for nothing in bpf(2) without a token that is made from it. One is looked for
only when the kernel has refused a call, and then goes with it: creating maps, loading programs and BTF.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from purebpf.kernel import privileges
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import kernel_version
from purebpf.kernel.syscall import bpf
from purebpf.tables.enums import Command

FIRST = (6, 9)
TOKEN_FD = 1 << 16  # BPF_F_TOKEN_FD
FIELDS = {  # the flags of a command, and where its token goes
    Command.MAP_CREATE: ("map_flags", "map_token_fd"),
    Command.PROG_LOAD: ("prog_flags", "prog_token_fd"),
    Command.BTF_LOAD: ("btf_flags", "btf_token_fd"),
}
REFUSED = (-errno.EPERM, -errno.EACCES)  # the latter from a verifier that takes less of those without privilege
MOUNTS = "/proc/self/mountinfo"
DELEGATES = "delegate_cmds="


class Token:
    """A token, made from the file system at `path`, which `delegates` what its mount options say."""

    def __init__(self, path: str, delegates: str, descriptor: Descriptor) -> None:
        self.path = path
        self.delegates = delegates
        self.descriptor = descriptor


_found: Token | None = None
_owner = 0


def with_token(command: Command, fields: dict[str, int | bytes], attempt: Callable[[], int]) -> int:
    """Make a call; when it is refused and there is a token, add that to the fields, and make it again."""
    answer = attempt()
    flags, place = FIELDS[command]
    if answer not in REFUSED or place in fields or (token := find()) is None:
        return answer
    before = int(fields.get(flags, 0))
    fields |= {flags: before | TOKEN_FD, place: token.descriptor.number}
    again = attempt()
    if again == -errno.EPERM:
        fields[flags] = before
        del fields[place]
    return again


def find() -> Token | None:
    """This process's token; None outside of user namespaces, where nothing can be delegated, and where nothing is."""
    global _found, _owner
    if _found is not None and _owner == os.getpid() and not _found.descriptor.closed:
        return _found
    if kernel_version() < FIRST or not privileges.in_user_namespace():
        return None
    made = next((token for path, delegates in file_systems() if (token := _made(path, delegates)) is not None), None)
    _found, _owner = made, os.getpid()
    return made


def file_systems(path: str = MOUNTS) -> list[tuple[str, str]]:
    """The BPF file systems that delegate something: where they are mounted, and what they delegate, as mount options."""
    try:
        with open(path) as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        before, _, after = line.partition(" - ")
        kind, *_, options = after.split(" ")
        if kind == "bpf" and DELEGATES in options:
            told = ",".join(option for option in options.split(",") if option.startswith("delegate_"))
            found.append((before.split(" ")[4].encode().decode("unicode_escape"), told))
    return found


def _made(path: str, delegates: str) -> Token | None:
    """A token of a file system; None where the kernel gives none: it belongs to another user namespace, say."""
    try:
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        answer = bpf(Command.TOKEN_CREATE, {"bpffs_fd": root})
    finally:
        os.close(root)
    return None if answer < 0 else Token(path, delegates, Descriptor(answer, f"the BPF token of {path}"))


def why_not_enough() -> str:
    """Why a call was refused in a user namespace, as a sentence with what to do."""
    if (token := find()) is not None:
        return (
            f"The BPF token of {token.path} does not permit it: it has {token.delegates}, and in the user namespace this "
            "process needs the same capabilities that it would need outside. Mount it with more delegated."
        )
    there = ", ".join(path for path, _ in file_systems())
    without = f"{there} delegates rights, but not to this user namespace. " if there else ""
    return (
        f"This process has its capabilities only inside a user namespace (a rootless container?), where bpf(2) does not count "
        f"them. {without}Run it outside, in a privileged container, or have a BPF file system mounted for the container that "
        "delegates rights to it (delegate_cmds and others, Linux 6.9)."
    )
