"""`python -m tests.kernel.portable.make`: write the object that `tests/kernel/test_core_portable.py` loads into each kernel.

It is examples/whoami.py, compiled with the types in `whoami.btf`: what that program needs of the types of Linux 6.18. So it is
the same on every machine. With `--types` those are taken from the running kernel again first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from purebpf.btf import running
from purebpf.btf.minimal import minimal_for
from purebpf.btf.reader import Btf
from purebpf.portable import dumps
from purebpf.relocate import local_types
from tests.examples.test_examples import load

FOLDER = Path(__file__).parent
OBJECT, TYPES = FOLDER / "whoami.json", FOLDER / "whoami.btf"


@contextmanager
def types_of_another_kernel() -> Iterator[None]:
    """`kernel_btf` gives what is in the file."""
    with mock.patch.object(running, "VMLINUX", TYPES), mock.patch.object(running, "build_id", str):
        running.kernel_btf.cache_clear()
        try:
            yield
        finally:
            running.kernel_btf.cache_clear()


def built() -> str:
    """The object, made from the source."""
    with types_of_another_kernel():
        return dumps(load("whoami").compiled())


def needed_types() -> bytes:
    """Of the running kernel's types those that the program speaks of, with the members it names."""
    (program,) = load("whoami").compiled().programs.values()
    local: Btf = local_types(program)
    return minimal_for(running.kernel_btf(), local)[0]


if __name__ == "__main__":
    if "--types" in sys.argv:
        TYPES.write_bytes(needed_types())
    OBJECT.write_text(built())
