"""Runs a sample everywhere and compares: CPython, the virtual machine, and the kernel where bpf(2) is permitted."""

from __future__ import annotations

import importlib.util
import linecache
import random
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from purebpf.compiler.frontend import source as frontend_source
from purebpf.compiler.ir.check import check
from purebpf.compiler.options import Options
from purebpf.compiler.pipeline import Compiled, compile_program
from purebpf.engine import Engine
from purebpf.errors import CompileError, Error, VerifierError
from tests.fuzz.generate import Overflow, Sample

WIDTHS = {"u8": 8, "u16": 16, "u32": 32, "s8": 8, "s16": 16, "s32": 32}


@dataclass(slots=True)
class Tally:
    """`refused` are samples whose signs the language cannot mix: the error is the right answer, so they count as programs."""

    programs: int = 0
    refused: int = 0
    wrong: int = 0
    rejected: int = 0
    tracebacks: int = 0
    failures: list[str] = field(default_factory=list)

    def line(self) -> str:
        return f"programs={self.programs} wrong={self.wrong} rejected={self.rejected} tracebacks={self.tracebacks}"


def run_sample(sample: Sample, seed: int, engines: list[Engine], folder: Path, tally: Tally) -> None:
    tally.programs += 1
    rng = random.Random(seed)
    module = _module(sample, folder)
    cpu = rng.choice((1, 2, 3, 4))
    try:
        program = module.program
        made = compile_program(program.function, program.kind, options=Options(cpu=cpu))
        for fn in made.functions:
            check(fn)
    except CompileError:
        tally.refused += 1
        return
    except Exception:
        tally.tracebacks += 1
        tally.failures.append(f"seed {seed}: {traceback.format_exc(limit=-3)}\n{sample.source}")
        return
    inputs = [[_value(rng, kind) for kind in sample.fields] for _ in range(4)]
    for engine in engines:
        _compare(sample, seed, module, made, engine, inputs, tally)


def _compare(
    sample: Sample, seed: int, module: ModuleType, made: Compiled, engine: Engine, inputs: list[list[int]], tally: Tally
) -> None:
    maps = {name: engine.create_map(spec) for name, spec in made.maps.items()}
    model = sample.model()
    loaded = None
    try:
        loaded = engine.load_program(made.program, maps)
        for values in inputs:
            packet = module.In(**{f"f{i}": value for i, value in enumerate(values)}).to_bytes().ljust(64, b"\0")
            result = loaded.run(data=packet).value
            try:
                expected = model(*values)
            except Overflow:
                continue
            slots = [maps["out"].lookup(i.to_bytes(4, "little")) or b"" for i in range(4)]
            got = [int.from_bytes(slot, "little", signed=True) for slot in slots]
            if (result, got) != (7, expected):
                tally.wrong += 1
                tally.failures.append(
                    f"seed {seed}, {engine.name}, {values}: got {result} {got}, not 7 {expected}\n{sample.source}"
                )
                return
    except VerifierError as error:
        tally.rejected += 1
        tally.failures.append(f"seed {seed}: rejected: {error.log[-600:]}\n{sample.source}")
    except Error:
        tally.wrong += 1
        tally.failures.append(f"seed {seed}, {engine.name}: {traceback.format_exc(limit=-3)}\n{sample.source}")
    finally:
        for resource in (loaded, *maps.values()):
            if resource is not None:
                resource.close()


def _module(sample: Sample, folder: Path) -> ModuleType:
    path = folder / "fuzzed.py"
    path.write_text(sample.source)
    linecache.clearcache()
    frontend_source._parsed.clear()
    spec = importlib.util.spec_from_file_location("fuzzed", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def _value(rng: random.Random, kind: str) -> int:
    bits = WIDTHS[kind]
    value = rng.choice((0, 1, 2, 3, rng.getrandbits(bits), (1 << bits) - 1, 1 << (bits - 1))) & ((1 << bits) - 1)
    return value - (1 << bits) if kind[0] == "s" and value >> (bits - 1) else value
