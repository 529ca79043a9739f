"""A script whose program is kept starts without what takes time to import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SLOW = {
    "typing",
    "re",
    "dataclasses",
    "inspect",
    "ast",
    "linecache",
    "difflib",
    "socket",
    "purebpf.lang.maps",
    "purebpf.btf.types",
}
SCRIPT = """
import sys
before = set(sys.modules)
import purebpf as bpf

@bpf.tracepoint("syscalls/sys_enter_execve")
def hello(ctx: bpf.TracepointContext) -> None:
    bpf.printk("Hello, World!")

with hello.attach():
    print(*sorted(set(sys.modules) - before))
"""


def imported(script: Path) -> set[str]:
    given = {name: value for name, value in os.environ.items() if name not in ("PUREBPF_KEEP", "PYTHONDONTWRITEBYTECODE")}
    made = subprocess.run([sys.executable, str(script)], env=given, capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    return set(made.stdout.split())


def test_nothing_slow_is_imported(kernel: object, tmp_path: Path) -> None:
    script = tmp_path / "hello.py"
    script.write_text(SCRIPT)
    assert "purebpf.compiler.pipeline" in imported(script)
    found = imported(script)
    assert "purebpf.kernel.program" in found
    assert not found & SLOW
    assert not {name for name in found if name.startswith("purebpf.compiler.frontend")}
    assert len({name for name in found if name.startswith("purebpf")}) < 60
