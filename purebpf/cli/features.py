"""`purebpf features`: what this kernel can do, in the manner of `bpftool feature probe`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from purebpf.cli.objects import echo_json
from purebpf.cli.usage import Command

if TYPE_CHECKING:
    from purebpf.kernel.features import Answer

LARGE = 4097  # instructions: one more than kernels before 5.2 take


@click.command(
    cls=Command,
    examples=("purebpf features", "purebpf features --no-helpers --json"),
    short_help="Tell what this kernel can do.",
)
@click.option("-j", "--json", "as_json", is_flag=True, help="JSON, with the keys of bpftool.")
@click.option("-p", "--pretty", is_flag=True, help="JSON on several lines.")
@click.option("--no-helpers", is_flag=True, help="Leave the helpers of each program type out: they take a second.")
def features(as_json: bool, pretty: bool, no_helpers: bool) -> None:
    """Tell what this kernel can do: types of programs, maps and links, the instruction set, helpers.

    Each is found out by trying; nothing is attached and nothing stays. What cannot be found out, for lack of a privilege or
    by a policy, is told as such (null in JSON).
    """
    if as_json or pretty:
        echo_json(report(not no_helpers), pretty)
        return
    for line in text(not no_helpers):
        click.echo(line)


def report(with_helpers: bool) -> dict[str, Any]:
    """All of it, by bpftool's keys and order; `links` and `isa` are ours."""
    from purebpf.kernel import features as probes
    from purebpf.kernel.features import system
    from purebpf.kernel.probe import FEATURES, cpu_level, has_feature, permitted
    from purebpf.tables.enums import LinkType, MapType, ProgramType

    types = [type for type in ProgramType if type]
    found: dict[str, Any] = {"system_config": system.settings() | dict.fromkeys(system.names()) | system.options()}
    why = permitted()
    found["syscall_config"] = {"have_bpf_syscall": why is None or None}
    found["program_types"] = {f"have_{type.name.lower()}_prog_type": probes.program_type(type).there for type in types}
    found["map_types"] = {f"have_{type.name.lower()}_map_type": probes.map_type(type).there for type in MapType if type}
    if with_helpers:
        found["helpers"] = {
            f"{type.name.lower()}_available_helpers": [f"bpf_{name}" for name in probes.helpers_of(type)] for type in types
        }
    if why is not None:
        return found
    found["misc"] = {"have_large_insn_limit": _large(), "have_bounded_loops": has_feature("bounded_loop")}
    told = {2: "jump_less", 3: "jump32", 4: "jump_long"}  # what bpftool looks at
    found["misc"] |= {f"have_v{each}_isa_extension": has_feature(name) for each, name in told.items()}
    found["links"] = {f"have_{type.name.lower()}_link_type": probes.link_type(type).there for type in LinkType if type}
    found["isa"] = {"level": cpu_level(), **{name: has_feature(name) for name in FEATURES}}
    return found


def _large() -> bool | None:
    """Whether programs may have more than 4,096 instructions."""
    from purebpf.isa import asm
    from purebpf.kernel.features.programs import attempt
    from purebpf.tables.enums import ProgramType

    number, _ = attempt(ProgramType.SOCKET_FILTER, (asm.Mov.imm(asm.R0, 0),) * (LARGE - 1) + (asm.Exit(),))
    return number == 0


def text(with_helpers: bool) -> Iterator[str]:
    """The same for people: a section each, what is there first."""
    from purebpf.kernel import features as probes
    from purebpf.kernel.features import system
    from purebpf.kernel.probe import FEATURES, cpu_level, has_feature, permitted
    from purebpf.tables.enums import LinkType, MapType, ProgramType

    why = permitted()
    yield f"bpf(2): {'permitted' if why is None else why}"
    for name, number in system.settings().items():
        yield f"  {name} {'?' if number is None else number}"
    if why is None:
        have = [name for name in FEATURES if has_feature(name)]
        yield f"\nInstruction set: level {cpu_level()} of 4 ({', '.join(have)})"
    types = [type for type in ProgramType if type]
    yield from section("Types of programs", {type.name.lower(): probes.program_type(type) for type in types})
    yield from section("Types of maps", {type.name.lower(): probes.map_type(type) for type in MapType if type})
    yield from section("Types of links", {type.name.lower(): probes.link_type(type) for type in LinkType if type})
    if with_helpers:
        yield "\nHelpers"
        for type in types:
            found = probes.helpers_of(type)
            yield f"  {type.name.lower()} {len(found)}" + (f": {', '.join(found)}" if found else "")


def section(title: str, answers: dict[str, Answer]) -> Iterator[str]:
    """Names by their answer."""
    have = [name for name, answer in answers.items() if answer.there]
    lack = [name for name, answer in answers.items() if answer.there is False]
    yield f"\n{title}: {len(have)}"
    yield f"  yes: {', '.join(have) or 'none'}"
    if lack:
        yield f"  no: {', '.join(lack)}"
    reasons: dict[str, list[str]] = {}
    for name, answer in answers.items():
        if answer.there is None:
            reasons.setdefault(answer.why, []).append(name)
    for why, names in reasons.items():
        yield f"  unknown: {', '.join(names)} ({why})"
