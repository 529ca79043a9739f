"""What came of the tests in all kernels, as text: reasons and messages, where kernels differ, and a line for each kernel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.kernels.results import Outcome, Results

WORDS: dict[Outcome | None, str] = {"passed": "ok", "skipped": "skip", "failed": "FAIL", None: "-"}  # None: it did not run


def table(runs: Sequence[Results]) -> str:
    told = [*map(skips, runs), *map(counts, runs), facts(runs), *map(failures, runs), differences(runs)]
    parts = [*told, "\n".join(map(line, runs))]
    return "\n\n".join(part for part in parts if part)


def name(run: Results) -> str:
    """The kernel's own version, and the machine where it is not a common one."""
    return (run.version or run.kernel) + ("-arm64" if run.kernel.endswith("-arm64") else "")


def line(run: Results) -> str:
    """`6.1.176 passed=1080 failed=0 skipped=12` and what else is to be known of the run."""
    counts = " ".join(f"{outcome}={run.count(outcome)}" for outcome in ("passed", "failed", "skipped"))
    return f"{name(run)} {counts} ({run.kernel}, {run.seconds:.0f} s){'' if run.good else '  <-- failed'}"


def skips(run: Results) -> str:
    """Reasons with their numbers."""
    lines = [f"{number:5}  {reason}" for reason, number in run.skipped.most_common()]
    return "\n".join((f"skipped in {name(run)}:", *lines)) if lines else ""


def counts(run: Results) -> str:
    """What tests have counted."""
    lines = [f"{number:5}  {what}" for what, number in sorted(run.counted.items())]
    return "\n".join((f"counted in {name(run)}:", *lines)) if lines else ""


def facts(runs: Sequence[Results]) -> str:
    """What tests have found out: fact by kernel."""
    names = dict.fromkeys(what for run in runs for what in run.facts)
    if not names:
        return ""
    return columns(runs, "found", [(what, [run.facts.get(what, "-") for run in runs]) for what in names])


def failures(run: Results) -> str:
    if run.good:
        return ""
    tests = (f"  {test}\n{indented(text)}" for test, text in run.failed.items())
    return "\n".join((f"failed in {name(run)}:", *(f"  {trouble}" for trouble in run.trouble), *tests))


def indented(text: str) -> str:
    return "\n".join(f"      {one}" for one in text.splitlines())


def differences(runs: Sequence[Results]) -> str:
    """Test by kernel, of tests that had not the same outcome everywhere, file by file."""
    if len(runs) < 2:
        return ""
    rows = list(differing(runs))
    if not rows:
        return "All tests had the same outcome in all kernels."
    return columns(runs, "test", [(test, [WORDS[outcome] for outcome in outcomes]) for test, outcomes in rows])


def columns(runs: Sequence[Results], title: str, rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A column for each kernel, and behind them what each row is about."""
    lines = [[*map(name, runs)], *(cells for _, cells in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    cells = ("  ".join(f"{cell:>{width}}" for cell, width in zip(one, widths, strict=True)) for one in lines)
    return "\n".join(f"{one}  {what}" for one, what in zip(cells, [title, *(what for what, _ in rows)], strict=True))


def differing(runs: Sequence[Results]) -> Iterator[tuple[str, list[Outcome | None]]]:
    for test in sorted({test for run in runs for test in run.outcomes}):
        outcomes = [run.outcomes.get(test) for run in runs]
        if len(set(outcomes)) > 1:
            yield test, outcomes
