"""What programs attach to, by their types: the options that `attach` takes without a name."""

from __future__ import annotations

from collections.abc import Mapping

from purebpf.errors import Error
from purebpf.tables.enums import AttachType, ProgramType

TARGETS: dict[ProgramType, tuple[str, ...]] = {
    ProgramType.XDP: ("interface",),
    ProgramType.SCHED_CLS: ("interface",),
    ProgramType.SOCKET_FILTER: ("socket",),
    ProgramType.SK_REUSEPORT: ("socket",),
    ProgramType.LIRC_MODE2: ("device",),
    ProgramType.SK_LOOKUP: ("netns",),
    ProgramType.FLOW_DISSECTOR: ("netns",),
    ProgramType.SOCK_OPS: ("cgroup",),
    **{type: ("cgroup",) for type in ProgramType if type.name.startswith("CGROUP_")},
    **dict.fromkeys((ProgramType.SK_MSG, ProgramType.SK_SKB), ("map",)),
    **dict.fromkeys(
        (ProgramType.LWT_IN, ProgramType.LWT_OUT, ProgramType.LWT_XMIT, ProgramType.LWT_SEG6LOCAL),
        ("destination", "interface"),
    ),
}

HOOKED = frozenset(  # those whose section may say what they attach to
    {
        ProgramType.KPROBE,
        ProgramType.TRACEPOINT,
        ProgramType.RAW_TRACEPOINT,
        ProgramType.RAW_TRACEPOINT_WRITABLE,
        ProgramType.TRACING,
        ProgramType.LSM,
        ProgramType.EXT,
    }
)


def targets_of(type: ProgramType, attach: AttachType | None = None) -> tuple[str, ...]:
    """The names of what such a program attaches to; none for those whose hook says it."""
    return ("cgroup",) if attach is AttachType.LSM_CGROUP else TARGETS.get(type, ())


def with_names(
    name: str, type: ProgramType, attach: AttachType | None, given: tuple[object, ...], options: Mapping[str, object]
) -> dict[str, object]:
    """The options of `attach`, with names for those that were given without. Raises Error when they are too many."""
    names = targets_of(type, attach)
    if len(given) > len(names):
        takes = " and ".join(names) or "its hook alone"
        raise Error(f"`{name}`, a program of type {type.name.lower()}, attaches to {takes}, not to {len(given)} things")
    return dict(zip(names, given, strict=False)) | dict(options)


def options_of(name: str, type: ProgramType, attach: AttachType | None, given: object) -> dict[str, object]:
    """What `attach(name=given)` means: options by name, one thing to attach to, or a tuple of several."""
    if isinstance(given, Mapping):
        return dict(given)
    return with_names(name, type, attach, given if isinstance(given, tuple) else (given,), {})
