"""`python -m bench.start`: hello world from the start of its process until it is attached, run in turns with the other tools.

Each tool attaches one program to `syscalls/sys_enter_execve`, which prints a line, says so and ends. Ratios are purebpf's time
divided by the other's, from the medians of all rounds. purebpf is there twice: as a script that has run before, whose compiled
program is kept as Python keeps its own bytecode (this one is compared with the others), and compiling it each time. A tool
that is not installed, or does not work here, is left out with the reason. PUREBPF_BCC_PYTHON and PUREBPF_PYTHONBPF_PYTHON
name the interpreters that have them (default: /usr/bin/python3).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from purebpf.kernel.probe import permitted

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
RESULTS = HERE.parent / "results" / "start.md"
TIMEOUT = 60  # seconds a tool may take
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("PYTHONDONTWRITEBYTECODE", "PUREBPF_KEEP")}


@dataclass(slots=True)
class Tool:
    """A tool's command, up to the point where `attached` is among its output; `wrong` says why it cannot be measured."""

    name: str
    command: list[str]
    wrong: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)

    def run(self) -> float:
        """Seconds from the start of the process until it is attached and has said so."""
        start = time.perf_counter()
        process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=HERE, env=ENVIRONMENT | self.settings
        )
        assert process.stdout is not None
        try:
            line = b""
            while b"attached" not in line:
                line = process.stdout.readline()
                if not line:
                    break
            taken = time.perf_counter() - start
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=TIMEOUT)
        if not line:
            raise RuntimeError(errors.decode(errors="replace").strip().splitlines()[-1] if errors else "it said nothing")
        return taken


def tools() -> list[Tool]:
    ours = [sys.executable, str(PROGRAMS / "purebpf_hello.py")]
    found = [Tool("purebpf", ours), Tool("purebpf that compiles", ours, settings={"PUREBPF_KEEP": "no"})]
    bpftrace = shutil.which("bpftrace")
    found.append(
        Tool("bpftrace", [bpftrace or "", "-B", "none", str(PROGRAMS / "hello.bt")], "" if bpftrace else "not installed")
    )
    for name, module in (("bcc", "bcc"), ("pythonbpf", "pythonbpf")):
        python = os.environ.get(f"PUREBPF_{name.upper()}_PYTHON", "/usr/bin/python3")
        there = subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0
        tool = Tool(name, [python, str(PROGRAMS / f"{name}_hello.py")], "" if there else f"{python} has no module `{module}`")
        found.append(tool)
    return found


def measure(tool: Tool) -> None:
    if tool.wrong:
        return
    try:
        tool.times.append(tool.run())
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        tool.wrong = str(error)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="how often each tool is run (default: 15)")
    options = parser.parse_args()
    if reason := permitted():
        print(f"nothing can be attached here: {reason}", file=sys.stderr)
        return 1
    every = tools()
    for _ in range(options.rounds + 1):
        for tool in every:
            measure(tool)
    ours = every[0]
    if ours.wrong:
        print(ours.wrong, file=sys.stderr)
        return 1
    lines = ["| tool | purebpf's time / its time |", "|---|---|"]
    ratios = []
    for tool in every[1:]:
        if tool.wrong:
            lines.append(f"| {tool.name} | – ({tool.wrong}) |")
            continue
        ratio = statistics.median(ours.times[1:]) / statistics.median(tool.times[1:])  # the first run fills caches
        lines.append(f"| {tool.name} | {ratio:.2f} |")
        if tool.command != ours.command:
            ratios.append(f"{tool.name}={ratio:.2f}")
    text = "\n".join(lines)
    heading = "# Hello world, from the start of its process to attached\n\n`make bench`; `docs/bench.md` explains it.\n\n"
    RESULTS.write_text(heading + text + "\n")
    print(text)
    print(" ".join(["start", *ratios]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
