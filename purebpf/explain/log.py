"""A verifier's log as parts: the walk up to the instruction that was refused, what was said of it, and the last word.

Written against `do_check` and `print_verifier_state` (kernel/bpf/verifier.c, log.c) of Linux 5.10 to 7.3, log levels 1 and 2;
newer kernels repeat the refusal as a report in sections ("Reason:", "Causal path:", "Suggestion:"). What loaders write around
it (libbpf's `-- BEGIN PROG LOAD LOG --`, `libbpf: prog 'x':`) is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from purebpf.explain.states import State, frame_of, read_states

HEAD, TAIL = 64 << 10, 2 << 20  # characters of a huge log that are looked at
LONGEST = 8192  # characters of a line that are looked at
WALKED = 20_000  # lines before the refusal that are searched for a register's state

INSTRUCTION = re.compile(
    r"(?P<slot>\d{1,8}): (?:frame\d+: )?(?:[.\d]+ )?\((?P<opcode>[0-9a-f]{2})\) (?P<text>[^;]*?)\s*"
    r"(?:;\s?(?P<after>.*))?$"
)
WHOLE_STATE = re.compile(r"(?:from \d+ to \d+.*?: ?|to caller at \d+:\s*|\d+: )?(?P<state>(?:frame\d+: ?)?R\d+(?:_\w+)?=.*)$")
SOURCE = re.compile(r"; (?P<text>.*?)(?: @ (?P<file>[^@]*):(?P<line>\d{1,9}))?$")
PROCESSED = re.compile(r"processed (\d+) insns")
REPORT = re.compile(r"Verification failed: (.*)")
SECTION = re.compile(r"(\w[\w ]*):$")
NOISE = re.compile(
    r"processed \d|verification time|stack depth|mark_precise:|regs=|parent |last_idx|propagating|frame ?\d+:|caller:|callee:"
    r"|returning from callee|to caller at|from \d+ to \d+|cur state:|old state:|-- |libbpf:|Validating |Func#|peak_states"
    r"|live regs|func#\d|(?:\d+: )?(?:frame\d+: ?)?R\d+(?:_\w+)?=|\s*$|\(\d+ lines before\)"
)
# Words of the verifier that tell a log where no instruction is printed.
SIGNS = re.compile(
    r"processed \d+ insns|unreachable insn|jump out of range|last insn is not|back-edge|infinite loop|combined stack size"
    r"|!read_ok|invalid mem access|invalid access to|Verification failed:|BPF program is too large|^func#\d+ @",
    re.MULTILINE,
)
PREFIX = re.compile(r"^\s*(?:libbpf: |\[[\d. ]+\] )?(?:\d+:\s(?=\d+: \())?")


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction that the verifier went to: its slot, opcode and text, the source line that the log gives for it."""

    slot: int
    opcode: int
    text: str
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A line of source as a log's comments have it; before Linux 6.8 without its file and number (then "" and 0)."""

    text: str
    file: str = ""
    line: int = 0


@dataclass(slots=True)
class Log:
    """The parts of a log. `step` is the last instruction it shows, `said` the lines after it, `states` what was known there of
    registers and stack slots, `texts` and `sources` instructions and their lines by slot, `report` the sections of a newer
    kernel's report by heading ("" is its title)."""

    step: Step | None = None
    said: list[str] = field(default_factory=list)
    states: dict[str, State] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    sources: dict[int, Source] = field(default_factory=dict)
    report: dict[str, str] = field(default_factory=dict)
    processed: int = 0
    lines: int = 0


def is_log(text: str) -> bool:
    """Whether a text has anything in it that only a verifier's log has."""
    return SIGNS.search(shortened(text)) is not None or any(INSTRUCTION.match(line) for line in clean_lines(text))


def shortened(text: str) -> str:
    """The text without the middle of a huge one: a refusal is at the end."""
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"


def clean_lines(text: str) -> list[str]:
    """The lines, without what cannot be printed, and without the indentation and marks that loaders and pagers put before."""
    lines = shortened(text).replace("\r", "").replace("\0", "").split("\n")
    return [PREFIX.sub("", line[:LONGEST]) if line[:1] in " l[" else line[:LONGEST] for line in lines]


def read_log(text: str) -> Log:
    """The parts of a log; of a text that is none, all empty."""
    lines = clean_lines(text)
    log = Log(lines=text.count("\n") + 1)
    end = next((at for at, line in enumerate(lines) if REPORT.match(line)), len(lines))
    log.report = read_report(lines[end:])
    log.processed = next((int(found[1][:18]) for line in reversed(lines) if (found := PROCESSED.match(line))), 0)
    source = None
    last = -1
    for at, line in enumerate(lines[:end]):
        if found := INSTRUCTION.match(line):
            slot = int(found["slot"])
            if source:
                log.sources[slot] = source
            log.texts[slot] = found["text"].strip()
            log.step = Step(slot, int(found["opcode"], 16), log.texts[slot], source)
            last = at
        elif line.startswith("; ") and (said := SOURCE.match(line)):
            source = Source(said["text"], said["file"] or "", int(said["line"] or 0))
    log.said = [line.rstrip() for line in lines[last + 1 : end] if not NOISE.match(line) and not line.startswith(";")]
    log.states = states_before(lines, last)
    return log


def states_before(lines: Sequence[str], last: int) -> dict[str, State]:
    """What was known when the verifier came to the instruction in line `last`: each register as it was told last before it on
    the same path. A call takes r1 to r5 away, so what was told of them before it does not count."""
    known: dict[str, State] = {}
    told: list[tuple[str, State]] = []
    gone: set[str] = set()
    frame: int | None = None
    after_it = next((found for line in lines[last + 1 : last + 2] if (found := WHOLE_STATE.match(line))), None)
    if after_it:  # up to Linux 5.17 all states stand below the instruction that is refused
        return read_states(after_it["state"])
    for line in reversed(lines[max(0, last - WALKED) : max(last, 0)]):
        if step := INSTRUCTION.match(line):
            after = step["after"] or ""
            if after.startswith(("R", "frame", "fp-")):
                frame = take(known, told, after, gone, frame)
            if step["opcode"] == "85":
                gone.update(f"R{n}" for n in range(1, 6))
        elif whole := WHOLE_STATE.match(line):
            take(known, told, whole["state"], gone, frame)
            break
        elif line.startswith("from "):
            break
    return linked(known, told)


def take(known: dict[str, State], told: list[tuple[str, State]], text: str, gone: Iterable[str], frame: int | None) -> int:
    """Add states that are not known yet and of the same call depth, and all of them to `told`; gives that depth."""
    here = frame_of(text)
    if frame is None or here == frame:
        for name, state in read_states(text).items():
            if name not in gone:
                known.setdefault(name, state)
                told.append((name, state))
    return here if frame is None else frame


def linked(known: Mapping[str, State], told: Iterable[tuple[str, State]]) -> dict[str, State]:
    """The states with what was learnt of copies. The log prints only the register that was compared; registers that share its
    `id` are the same value: `told` has the states backwards, so the first of an id is the newest."""
    newest: dict[str, State] = {}
    tested: set[str] = set()
    for name, state in told:
        id = state.fields.get("id", "0")
        if id == "0":
            continue
        if state.number:
            newest.setdefault(id, state)
        elif state.nullable and known[name].kind == state.kind.replace("_or_null", ""):
            tested.add(id)
    return {name: with_copies(state, newest, tested) for name, state in known.items()}


def with_copies(state: State, newest: Mapping[str, State], tested: Iterable[str]) -> State:
    id = state.fields.get("id", "0")
    if state.number:
        return newest.get(id, state)
    return replace(state, kind=state.kind.replace("_or_null", "")) if state.nullable and id in tested else state


def causes(report: Mapping[str, str]) -> list[str]:
    """The steps of a report's causal path, a sentence each: "instruction 5: R0 changed from ... to ..."."""
    steps: list[str] = []
    for line in report.get("Causal path", "").splitlines():
        if at := re.match(r"\s*insn (\d+)", line):
            steps.append(f"instruction {at[1]}: ")
        elif steps and (text := re.match(r"\s*\|\s+(?:\^-- (?:\w+: )?)?(.*)", line)):
            steps[-1] += ("" if steps[-1].endswith(": ") else " ") + text[1].strip()
    return steps


def read_report(lines: Sequence[str]) -> dict[str, str]:
    """The sections of a newer kernel's report by heading, its title under ""."""
    report: dict[str, str] = {}
    heading = ""
    for line in lines:
        if title := REPORT.match(line):
            report[""] = title[1].strip()
        elif section := SECTION.match(line):
            heading = section[1]
        elif heading and not PROCESSED.match(line):
            report[heading] = f"{report.get(heading, '')}\n{line}".strip("\n")
    return report
