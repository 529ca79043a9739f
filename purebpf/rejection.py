"""A rejection by the kernel's verifier in the look of a compile error: Python line, caret, the state in words, a hint."""

from __future__ import annotations

import os

from purebpf.compiler.diagnostics import Place, render
from purebpf.errors import VerifierError
from purebpf.explain import Explanation, explain
from purebpf.isa.instruction import SourceLine
from purebpf.spec import ProgramSpec

FULL_LOG = "PUREBPF_LOG"  # "full" adds the whole log to the message


def told(error: VerifierError, spec: ProgramSpec) -> VerifierError:
    """The same error with its log explained; as it is when the log tells nothing. The whole log stays in `log`."""
    explanation = explain(error.log, spec, error.unresolved)
    if explanation is None:
        return error
    title = f"the kernel's verifier rejected `{spec.name}`: {explanation.message}"
    better = VerifierError(error.errno or 0, f"{shown(title, explanation)}\n{whole(error.log)}", error.log, explanation)
    better.unresolved = error.unresolved
    return better


def shown(title: str, explanation: Explanation) -> str:
    """An explanation as text."""
    spot = explanation.spot
    known = place(spot.source, spot.slot) if spot.source else None
    return render(title, known, explanation.label, explanation.hint, explanation.notes)


def place(source: SourceLine, slot: int | None) -> Place:
    """Where an instruction comes from. A line without a column, as a log's comments have it, is meant as a whole; where they
    have no number either, the instruction's is told."""
    begin = source.column - 1 if source.column else len(source.text) - len(source.text.lstrip())
    end = source.end - 1 if source.end > source.column else len(source.text.rstrip())
    where = (source.file or "<log>") if source.line else f"instruction {slot}"
    return Place(where, source.line, begin, end, source.text)


def whole(log: str) -> str:
    """The whole log where PUREBPF_LOG asks for it, else how to get it."""
    if os.environ.get(FULL_LOG) == "full":
        return "The whole log:\n" + "\n".join(f"    {line}" for line in log.strip().splitlines())
    lines = log.strip().count("\n") + 1
    return f"The verifier's log has {lines} lines: {FULL_LOG}=full shows them, and `log` of this error has them."
