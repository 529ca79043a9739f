"""`python -m tests.kernel.portable.make`: write the object that `tests/kernel/test_core_portable.py` loads into each kernel.

It is examples/whoami.py, compiled with the types in `whoami.btf`: what that program needs of the types of Linux 6.18. So it is
the same on every machine. With `--types` those are taken from the running kernel again first.
"""

from __future__ import annotations

import sys
from pathlib import Path

from purebpf.btf.minimal import minimal_for
from purebpf.btf.running import kernel_btf
from purebpf.portable import dumps
from purebpf.relocate import local_types
from tests.examples.test_examples import load

FOLDER = Path(__file__).parent
OBJECT, TYPES = FOLDER / "whoami.json", FOLDER / "whoami.btf"


def built() -> str:
    """The object, made from the source."""
    return dumps(load("whoami").compiled(str(TYPES)))


def needed_types() -> bytes:
    """Of the running kernel's types those that the program speaks of, with the members it names."""
    (program,) = load("whoami").compiled().programs.values()
    return minimal_for(kernel_btf(), local_types(program))[0]


if __name__ == "__main__":
    if "--types" in sys.argv:
        TYPES.write_bytes(needed_types())
    OBJECT.write_text(built())
