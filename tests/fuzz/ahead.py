"""Random programs that are compiled, and run by the model, in one place to be run in another: in a folder, a file for a seed.

`python -m tests.fuzz.ahead FIRST COUNT ...` fills the folder that PUREBPF_AHEAD names, for the kernel that is described there.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

from purebpf.compiler.loadable import Loadable
from purebpf.compiler.options import Options
from tests.fuzz.oracles import Case, Failure, compiled
from tests.fuzz.pool import program


def case_of(seed: int, target: Options) -> Case | Failure:
    """The program of a seed: as it was made ahead for this target, else made now."""
    folder = os.environ.get("PUREBPF_AHEAD")
    path = Path(folder, "random", str(seed)) if folder else None
    if path is None or not path.exists():
        return made(seed, target)
    of, case = pickle.loads(path.read_bytes())
    assert of == target, f"random programs were made for {of}; this kernel takes {target}"
    assert isinstance(case, Case | Failure)
    return case


def made(seed: int, target: Options) -> Case | Failure:
    found = compiled(program(seed), seed, target=target)
    return found if isinstance(found, Failure) else found[0]


def keep(folder: Path, target: Options, seed: int) -> None:
    case = made(seed, target)
    if isinstance(case, Case):
        plain = Loadable(case.made.program, case.made.maps, {}, [], case.made.options)  # the IR is not needed any more
        case = Case(case.source, seed, case.cpu, plain, case.inputs, case.expected)
    (folder / str(seed)).write_bytes(pickle.dumps((target, case), pickle.HIGHEST_PROTOCOL))


def main(words: list[str]) -> None:
    from tests.kernels.ahead.stand_in import target

    folder = Path(os.environ["PUREBPF_AHEAD"], "random")
    folder.mkdir(exist_ok=True)
    seeds = [int(first) + i for first, count in zip(words[::2], words[1::2], strict=True) for i in range(int(count))]
    for seed in seeds:
        keep(folder, target(), seed)


if __name__ == "__main__":
    main(sys.argv[1:])
