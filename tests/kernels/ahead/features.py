"""What the compiler has to know of a kernel: asked in a guest once, and written down beside the kernel."""

from __future__ import annotations

import hashlib
import json
import os
import tty
from pathlib import Path

from purebpf.collection import Collection
from purebpf.kernel.engine import KernelEngine
from tests.kernels import boot
from tests.kernels.errors import CannotRun
from tests.kernels.fetch import Kernel
from tests.kernels.results import Told

ASKED_BY = ("purebpf/kernel/probe.py", "purebpf/kernel/engine.py", "purebpf/compiler/options.py", "purebpf/collection.py")
"""Files that decide what is asked and how: when they change, it is asked again."""


def told() -> Told:
    """Of the running kernel."""
    engine, system = KernelEngine(), os.uname()
    target = Collection([], engine).target
    return Told(
        event="features",
        identity=list(engine.identity),
        options={name: getattr(target, name) for name in target.__match_args__},
        release=system.release,
        version=system.version,
    )


def features(kernel: Kernel, busybox: Path, seconds: float, console: Path) -> Told:
    """Of another kernel. Raises CannotRun when its guest does not tell."""
    asked = hashlib.sha256(b"".join((boot.ROOT / name).read_bytes() for name in ASKED_BY)).hexdigest()[:16]
    path = console.with_name(f"{kernel.release}.features.json")
    if path.exists():
        before = json.loads(path.read_text())
        if before["asked"] == asked:
            answer: Told = before["told"]
            return answer
    results = boot.run(kernel, busybox, ["-m", "tests.kernels.ahead.features"], seconds, console, lambda _: None)
    if results.features is None:
        raise CannotRun(f"{kernel.release} did not tell what it takes: {'; '.join(results.trouble)}")
    path.write_text(json.dumps({"asked": asked, "told": results.features}))
    return results.features


if __name__ == "__main__":
    with open(os.environ["PUREBPF_STREAM"], "w") as stream:
        if stream.isatty():
            tty.setraw(stream.fileno())
        stream.write(json.dumps(told()) + "\n")
