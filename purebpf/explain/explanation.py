"""A log's refusal explained: the rule that knows it, the place, the state in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from purebpf.explain.log import Log, causes, is_log, read_log
from purebpf.explain.rules import Found, find_rule
from purebpf.explain.states import State, integer
from purebpf.explain.words import describe
from purebpf.isa.disassembler import format_instruction
from purebpf.isa.instruction import Instruction, SourceLine
from purebpf.spec import ProgramSpec

PACKET = re.compile(r"(?P<name>R\d+)\(id=\d+,off=-?\d+,r=(?P<range>\d+)\)")
NULLS = {True: "None", False: "NULL"}  # what a program from Python calls it, and others
BITS = re.compile(r"\((0x[0-9a-f]+); (0x[0-9a-f]+)\)")
REGISTER = re.compile(r"\b[rwR](\d+)\b")
POISON = "core_poison"  # the rule of instructions that a CO-RE relocation made invalid
NOTHING: Mapping[int, str] = {}


@dataclass(frozen=True, slots=True)
class Spot:
    """An instruction: its slot, its text, the function it is in, the source line it comes from; what is not known is empty."""

    slot: int | None = None
    instruction: str = ""
    function: str = ""
    source: SourceLine | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a program was refused. `rule` names the kind of refusal ("" where the verifier's words are not known), `message`,
    `label` and `hint` tell it in words, `said` is what the verifier said.

    `spot` is the instruction; `registers` has what was known of the registers in question, in words; `report` the sections of
    a newer kernel's report, by heading; `processed` how many instructions the verifier went through.
    """

    rule: str
    message: str
    said: str
    label: str = ""
    hint: str = ""
    spot: Spot = Spot()
    registers: Mapping[str, str] = field(default_factory=dict)
    report: Mapping[str, str] = field(default_factory=dict)
    processed: int = 0

    @property
    def notes(self) -> list[str]:
        """What stands below the source line: the instruction, the state of its registers, the verifier's own words."""
        spot = self.spot
        inside = f" of `{spot.function}`" if spot.function else ""
        at = [] if spot.slot is None else [f"instruction {spot.slot}{inside}: {spot.instruction}".rstrip(": ")]
        known = (f"{name} is {words}" for name, words in self.registers.items())
        told = [words for words in known if words not in self.label]
        return [*at, *told, *causes(self.report), f"the verifier says: {self.said}"]


def explain(log: str, spec: ProgramSpec | None = None, unresolved: Mapping[int, str] = NOTHING) -> Explanation | None:
    """Explain a verifier's log; None when the text is no such log, or has no refusal in it.

    With the program's `spec` the place is a line of its source, by the line information of its instructions. `unresolved` tells
    by slot why its CO-RE relocations have no answer in the kernel.
    """
    if not is_log(log):
        return None
    parts = read_log(log)
    found = find_rule(parts.said)
    for line in parts.said:
        if said := PACKET.search(line):  # which knows better than the last line that printed the register
            state = parts.states.get(said["name"])
            if state and state.kind.startswith("pkt"):
                parts.states[said["name"]] = replace(state, fields={**state.fields, "r": said["range"]})
    if found is None and not parts.said and not parts.report:
        return None
    if found is None:
        return unknown(parts, spec)
    explanation = known(found, parts, spec)
    if explanation.rule == POISON and spec:
        from purebpf.explain.relocations import named

        return named(explanation, spec, unresolved)
    return explanation


def known(found: Found, parts: Log, spec: ProgramSpec | None) -> Explanation:
    """An explanation by a rule."""
    rule, groups = found.rule, found.groups
    slot = integer(groups["slot"]) if groups.get("slot") else parts.step.slot if parts.step and not rule.whole else None
    python = from_python(spec)
    values = filled(groups, parts.states, NULLS[python])
    return Explanation(
        rule=rule.name,
        message=fill(rule.message, values),
        said=found.said,
        label=fill(known_clauses(rule.label, values), values),
        hint=fill((python and rule.python) or rule.hint, values),
        spot=find_spot(slot, parts, spec),
        registers=registers(found.said, slot, parts, NULLS[python]),
        report=parts.report,
        processed=parts.processed,
    )


def unknown(parts: Log, spec: ProgramSpec | None) -> Explanation:
    """What can be told of a refusal that no rule knows: the verifier's words, the place and the state."""
    said = parts.said[0].strip() if parts.said else parts.report.get("", "")
    slot = parts.step.slot if parts.step else None
    return Explanation(
        rule="",
        message=parts.report.get("") or said,
        said=said,
        label=" ".join(parts.report.get("Reason", "").split()),
        hint=" ".join(parts.report.get("Suggestion", "").split()),
        spot=find_spot(slot, parts, spec),
        registers=registers(said, slot, parts, NULLS[from_python(spec)]),
        report=parts.report,
        processed=parts.processed,
    )


def from_python(spec: ProgramSpec | None) -> bool:
    """Whether a program was compiled from Python."""
    return spec is not None and any(i.source is not None and i.source.end > 0 for i in spec.instructions)


def filled(groups: Mapping[str, str], states: Mapping[str, State], null: str) -> dict[str, str]:
    """The values for a rule's texts: the match's groups, `where` for the register's state, `end` for offset + size."""
    state = states.get(f"R{groups.get('reg', '')}")
    end = integer(groups.get("off", "0")) + integer(groups.get("size", "0"))
    bits = BITS.fullmatch(groups.get("range", ""))  # up to Linux 6.7 a range is told by its known bits
    between = {"range": f"[{integer(bits[1])}, {integer(bits[1]) | integer(bits[2])}]"} if bits else {}
    return {**groups, **between, "where": describe(state, null) if state else "", "end": str(end)}


def known_clauses(label: str, values: Mapping[str, str]) -> str:
    """The label without the clauses about a register that the log does not tell the state of."""
    return label if values["where"] else "; ".join(clause for clause in label.split("; ") if "{where}" not in clause)


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with the values for the names in braces."""
    filled_in = re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], ""), text)
    return re.sub(r"\b1 bytes\b", "1 byte", filled_in)


def registers(said: str, slot: int | None, parts: Log, null: str) -> dict[str, str]:
    """The states in words of the registers that the verifier names, or else of those in the instruction."""
    if parts.step is None or parts.step.slot != slot:
        return {}
    named = REGISTER.findall(said) or REGISTER.findall(parts.step.text)
    states = {f"r{n}": parts.states[f"R{n}"] for n in named if f"R{n}" in parts.states}
    return {name: describe(state, null) for name, state in states.items()}


def find_spot(slot: int | None, parts: Log, spec: ProgramSpec | None) -> Spot:
    """The instruction at a slot: by the program's own line information, else by the comments in the log."""
    if slot is None:
        return Spot()
    shown = parts.texts.get(slot, "")
    comment = parts.sources.get(slot)
    source = SourceLine(comment.file, comment.line, 0, comment.text) if comment else None
    if spec is None:
        return Spot(slot, shown, "", source)
    instruction, own = at_slot(spec, slot)
    inside = [f.name for f in spec.functions if f.slot <= slot]
    text = format_instruction(instruction) if instruction else shown
    return Spot(slot, text, inside[-1] if len(spec.functions) > 1 and inside else "", own or source)


def at_slot(spec: ProgramSpec, slot: int) -> tuple[Instruction | None, SourceLine | None]:
    """The instruction at a slot, and its source line: its own or that of the nearest before it."""
    source, here = None, 0
    for instruction in spec.instructions:
        source = instruction.source if instruction.source and instruction.source.text else source
        if here <= slot < here + instruction.slots:
            return instruction, source
        here += instruction.slots
    return None, None
