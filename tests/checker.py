"""mypy, as users of purebpf run it on files of their own: strict, without a project's settings.

What `make lint` found out about purebpf is not found out again: its cache serves here, and mypy looks itself whether a file has
changed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def checked(what: Path, *flags: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What mypy says of a file or a folder of files, run in `folder`."""
    command = [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={ROOT / '.mypy_cache'}", "--config-file=", *flags]
    return subprocess.run([*command, str(what)], capture_output=True, text=True, cwd=folder, check=False)
