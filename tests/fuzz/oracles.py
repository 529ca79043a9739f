"""What must hold for one program: every machine gives what CPython, as the model, says; nothing is refused, nothing fails."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from purebpf.compiler.ir.check import check
from purebpf.compiler.ir.memory import IrRuntimeError
from purebpf.compiler.ir.ops import Module
from purebpf.compiler.loadable import Loadable
from purebpf.compiler.options import Options
from purebpf.compiler.pipeline import Compiled, compile_program
from purebpf.data import replace
from purebpf.engine import Engine
from purebpf.errors import CompileError, Error, VerifierError
from purebpf.program import Program
from tests.fuzz.machines import Outcome, after_each_pass, compare, load_module, run_engine, run_ir, run_python
from tests.fuzz.model import Model

RUNS = 4
KINDS = ("wrong", "rejected", "tracebacks", "refused", "large")
INTERESTING = (0, 1, 2, 3, 7, 8, 127, 128, 255)
ORACLES = ("ir", "engines", "python", "passes")
"""The first two are cheap; `python` compiles and runs once more, `passes` interprets the IR after each of them."""


@dataclass(frozen=True, slots=True)
class Failure:
    """`kind` is one of wrong, rejected, traceback, refused, large. A refused program is one that the compiler should have
    taken; a large one goes beyond the million instructions (or thousands of jumps) that the verifier walks through.
    `mutation` names what was done to the source on purpose."""

    kind: str
    engine: str
    detail: str
    source: str
    seed: int
    mutation: str = ""

    def __str__(self) -> str:
        how = f", {self.mutation}" if self.mutation else ""
        return f"== seed {self.seed}{how}: {self.kind} ({self.engine}): {self.detail}\n{self.source}"


@dataclass(slots=True)
class Tally:
    programs: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    failures: list[Failure] = field(default_factory=list)

    def add(self, failure: Failure | None) -> None:
        if failure is not None:
            self.counts["tracebacks" if failure.kind == "traceback" else failure.kind] += 1
            if failure.kind != "large":
                self.failures.append(failure)

    def line(self) -> str:
        """A legal program that the compiler refuses is as wrong as one that it translates wrongly."""
        told = {**self.counts, "wrong": self.counts["wrong"] + self.counts["refused"]}
        shown = [f"{kind}={told[kind]}" for kind in KINDS if kind != "refused"]
        return " ".join([f"programs={self.programs}", *shown])


def packets(seed: int, size: int) -> list[bytes]:
    """Inputs: plain noise, and bytes at the edges of types."""
    rng = random.Random(seed)
    made = []
    for i in range(RUNS):
        mixed = bytes(rng.choice(INTERESTING) if rng.random() < 0.6 else rng.getrandbits(8) for _ in range(size))
        made.append((bytes(size), mixed, b"\xff" * size, rng.randbytes(size))[i] if i != 2 else mixed[::-1])
    return made


def level_of(seed: int) -> int:
    """The instruction set's level that a seed is compiled for."""
    return random.Random(seed).choice((1, 2, 3, 3, 4))


def attempt(failed: Callable[[str, str, str], Failure], name: str, run: Callable[[], str]) -> Failure | None:
    """One oracle: `run` gives the difference. Every way to fail is a failure of its kind."""
    try:
        difference = run()
    except VerifierError as error:
        return failed("large" if error.too_complex else "rejected", name, error.log[-1500:])
    except (Error, IrRuntimeError) as error:
        return failed("wrong", name, f"{type(error).__name__}: {error}")
    except Exception:
        return failed("traceback", name, traceback.format_exc(limit=-4))
    return failed("wrong", name, difference) if difference else None


@dataclass(frozen=True, slots=True)
class Case:
    """A program and all that is to be known of it but what engines make of it."""

    source: str
    seed: int
    cpu: int  # the level of the instruction set that it is compiled for
    made: Loadable
    inputs: list[bytes]
    expected: Outcome

    def failed(self, kind: str, engine: str, detail: str) -> Failure:
        return Failure(kind, f"{engine}, cpu v{self.cpu}", detail, self.source, self.seed)

    def on(self, engine: Engine) -> Failure | None:
        """Run it on an engine."""
        return attempt(self.failed, engine.name, lambda: compare(run_engine(self.made, engine, self.inputs), self.expected))


def compiled(
    source: str, seed: int, cpu: int | None = None, strict: bool = False, target: Options | None = None
) -> tuple[Case, Program, Compiled] | Failure:
    """Run the model and compile; the same program and all of what was compiled besides. See `examine`."""
    target = target or Options(cpu=4)
    level = min(cpu or level_of(seed), target.cpu)
    model = Model(source, strict)
    size = max(64, model.names["In"].size + random.Random(seed).choice((0, 1, 64)))
    inputs = packets(seed, size)
    expected: Outcome = [model.run(packet) for packet in inputs], model.contents()
    options = replace(target, cpu=level)
    try:
        program = load_module(source).program
        made = compile_program(program.function, program.kind, options=options)
        for fn in made.functions:
            check(fn)
    except CompileError as error:
        if level < 3 <= target.cpu and "needs cpu level 3" in str(error):  # an atomic operation: what it says
            return compiled(source, seed, 3, strict, target)
        return Failure("refused", f"cpu v{level}", str(error), source, seed)
    except Exception:
        return Failure("traceback", f"cpu v{level}", traceback.format_exc(limit=-4), source, seed)
    return Case(source, seed, level, made, inputs, expected), program, made


def examine(
    source: str,
    seed: int,
    engines: list[Engine],
    cpu: int | None = None,
    strict: bool = False,
    oracles: tuple[str, ...] = ("ir", "engines"),
    target: Options | None = None,
) -> Failure | None:
    """Compile and run one program on these oracles; the first thing that is not as it should be. `strict` raises Overflow where
    a program's meaning rests on ranges that the model does not know. `target` says what the engines take, if not all. What the
    verifier finds too complex is compiled again as a collection does it, `sparing`."""
    target = target or Options(cpu=4)
    found = compiled(source, seed, cpu, strict, target)
    if isinstance(found, Failure):
        return found
    case, program, made = found

    def passes() -> str:
        name, difference = after_each_pass(program, made.options, case.inputs, case.expected)
        return f"after `{name}`: {difference}" if difference else ""

    program.options = made.options
    program._compiled[made.options] = made  # `Program.python` needs no other
    runs: dict[str, Callable[[], str]] = {}
    if "passes" in oracles:
        runs["passes"] = passes
    if "ir" in oracles:
        runs["ir"] = lambda: compare(run_ir(Module(made.functions), made.maps, case.inputs), case.expected)
    for name, run in runs.items():
        if failure := attempt(case.failed, name, run):
            return failure
    for engine in engines if "engines" in oracles else ():
        if failure := case.on(engine):
            if failure.kind == "large" and not target.sparing:
                return examine(source, seed, engines, cpu, strict, oracles, replace(target, sparing=True))
            return failure
    if "python" in oracles:
        return attempt(case.failed, "python", lambda: compare(run_python(program, case.inputs), case.expected))
    return None
