"""Measures which program types may call which helper, which helpers are GPL-only and which may sleep.

For every helper and every way to load a program: load `call helper; exit` and read the verifier's answer. It looks at
permission before it looks at arguments, so a complaint about arguments means that the call as such is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from purebpf.tables.generate.kernel import EXIT, Kernel, Target, call, move

EPERM = 1

# what the verifier says to a call that is not allowed; anything else is about arguments, the exit code, or is success
REFUSALS = ("program of this type cannot use helper", "invalid func ", "unknown func ")
HOOK_REFUSAL = "helper call is not allowed in probe"
SLEEP_REFUSAL = "helper call might sleep"
GPL_REFUSAL = "cannot call GPL-restricted function"


@dataclass(slots=True)
class Permissions:
    """`allowed[target]` are helper ids; `refused[target]` is why no such program can be loaded here at all."""

    allowed: dict[str, set[int]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    gpl: set[int] = field(default_factory=set)
    sleeps: set[int] = field(default_factory=set)
    hooks: set[int] = field(default_factory=set)


def loadable(kernel: Kernel, target: Target) -> str:
    """ "" if the kernel takes a program of this kind that does nothing (or argues only about its result), else why not."""
    reasons = []
    for value in (0, 1):
        verdict = kernel.load(target, move(0, value) + EXIT)
        if verdict.errno == 0 or "At program exit" in verdict.log:
            return ""
        reasons.append(verdict.reason or f"errno {verdict.errno}")
    return reasons[-1]


def measure(kernel: Kernel, targets: dict[str, list[Target]], ids: list[int]) -> Permissions:
    """Ask for all of them: about 40 µs a question. Raises PermissionError when not even a socket filter can be loaded."""
    found = Permissions()
    for name, ways in targets.items():
        reasons = [loadable(kernel, way) for way in ways]
        usable = [way for way, reason in zip(ways, reasons, strict=True) if not reason]
        if not usable:
            found.refused[name] = reasons[0] if reasons else "this kernel has no such hook"
            continue
        allowed = found.allowed.setdefault(name, set())
        for way in usable:
            for id in ids:
                reason = kernel.load(way, call(id) + EXIT).reason
                if reason.startswith(REFUSALS):
                    continue
                allowed.add(id)
                if reason.startswith(HOOK_REFUSAL):
                    found.hooks.add(id)
                if reason.startswith(SLEEP_REFUSAL):
                    found.sleeps.add(id)
                if kernel.load(way, call(id) + EXIT, license=b"Proprietary").reason.startswith(GPL_REFUSAL):
                    found.gpl.add(id)
    if "SOCKET_FILTER" in found.refused:
        raise PermissionError(EPERM, f"no program can be loaded here: {found.refused['SOCKET_FILTER']}; run as root")
    return found
