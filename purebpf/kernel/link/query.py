"""What is attached to a hook: programs in the order in which they run (BPF_PROG_QUERY, Linux 4.15; kernel/bpf/syscall.c)."""

from __future__ import annotations

import errno
from array import array
from typing import TYPE_CHECKING

from purebpf.data import data
from purebpf.errors import Error
from purebpf.kernel.attr import pack, read
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.link.base import interface_index
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.places import live_map, open_cgroup, open_netns
from purebpf.kernel.syscall import bpf_buffer
from purebpf.tables.enums import AttachType, Command

if TYPE_CHECKING:
    from collections.abc import Mapping

OPTIONS = {
    "interface": "name or index of a network interface, of the hooks of TCX and netkit",
    "cgroup": "the folder of a cgroup, of its hooks",
    "netns": "a network namespace, of sk_lookup and flow_dissector (without it that of the calling thread)",
    "map": "a socket map, of sk_msg and sk_skb (Linux 5.18)",
    "effective": "True: of a cgroup, with those of the cgroups above",
}
EFFECTIVE = 1 << 0  # BPF_F_QUERY_EFFECTIVE
FIRST, MOST = 64, 1 << 20  # how many programs are asked for at first, and at last
ON_INTERFACES = (AttachType.TCX_INGRESS, AttachType.TCX_EGRESS, AttachType.NETKIT_PRIMARY, AttachType.NETKIT_PEER)
ON_NAMESPACES = (AttachType.SK_LOOKUP, AttachType.FLOW_DISSECTOR)
ON_MAPS = (
    AttachType.SK_MSG_VERDICT,
    AttachType.SK_SKB_STREAM_PARSER,
    AttachType.SK_SKB_STREAM_VERDICT,
    AttachType.SK_SKB_VERDICT,
)


@data
class Attached:
    """`programs` are ids in the order in which they run, `links` the ids of their links (0: attached without one; () where the
    kernel does not tell), `revision` how often they have been changed (0 where the kernel does not count)."""

    programs: tuple[int, ...]
    links: tuple[int, ...]
    revision: int


def query(hook: AttachType, **given: object) -> Attached:
    """Ask for one hook; what it is of is an option: `query(AttachType.TCX_INGRESS, interface="eth0")`. Raises KernelError."""
    options = Options(f"query of {hook.name.lower()}", given, OPTIONS)
    flags = EFFECTIVE if options.get("effective") else 0
    held, fields = _target(hook, options)
    try:
        return _ask(hook, fields, flags)
    finally:
        held.close()


def _target(hook: AttachType, options: Options) -> tuple[Descriptor, Mapping[str, int]]:
    """What holds the hook, as a field; the descriptor is to be closed."""
    if hook in ON_INTERFACES:
        return Descriptor.none(), {"target_ifindex": interface_index(options)}
    if hook in ON_MAPS:
        return Descriptor.none(), {"target_fd": live_map(options).descriptor.number}
    if hook in ON_NAMESPACES:
        held = open_netns(options)
    elif hook.name.startswith("CGROUP_") or hook is AttachType.LSM_CGROUP:
        held = open_cgroup(options)
    else:
        raise Error(f"The kernel does not tell what is attached to {hook.name.lower()}.")
    return held, {"target_fd": held.number}


def _ask(hook: AttachType, fields: Mapping[str, int], flags: int) -> Attached:
    several, room = hook in ON_INTERFACES, FIRST
    while True:
        programs, links = array("I", bytes(4 * room)), array("I", bytes(4 * room))
        asked: dict[str, int | bytes] = {**fields, "attach_type": int(hook), "query_flags": flags, "count": room}
        asked |= {"prog_ids": programs.buffer_info()[0]}
        if several:
            asked |= {"link_ids": links.buffer_info()[0]}
        attribute, size = pack("QUERY", asked)
        answer = bpf_buffer(Command.PROG_QUERY, attribute, size)
        if answer != -errno.ENOSPC or room >= MOST:
            break
        room *= 4  # there are more, and may be more still when it is asked again
    if answer < 0:
        reasons = {errno.ENOENT: "The kernel has no such hook, or there is none on this interface."}
        what = f"Asking for the programs of {hook.name.lower()}"
        raise failure(-answer, what, needs=("CAP_NET_ADMIN",), first=(4, 15), feature="BPF_PROG_QUERY", reasons=reasons)
    count = read("QUERY", attribute, "count")
    found = tuple(programs[:count])
    return Attached(found, tuple(links[:count]) if several else (), read("QUERY", attribute, "revision"))
