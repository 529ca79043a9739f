"""Every Python snippet in the documentation runs as a module; each program in it loads into the virtual machine, or where it is
about the kernel's own functions into the kernel.

Pages about something else than programs have none."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from purebpf.btf.running import kernel_btf
from purebpf.errors import Unsupported
from purebpf.kernel.probe import permitted
from purebpf.operations import StructOps
from purebpf.program import Program, load

ROOT = Path(__file__).parents[2]
NAMES = (
    "guide",
    "language",
    "howto",
    "debugging",
    "net",
    "networking",
    "object-files",
    "btf",
    "kfuncs",
    "maps",
    "events",
    "objects",
    "packages",
    "portable",
    "stacks",
    "tracing",
    "types",
)
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in NAMES)]
WITHOUT_PROGRAMS = ("btf.md", "packages.md")
OF_THE_KERNEL = ("kfuncs.md",)  # what is in them no other engine has


def snippets() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for match in re.finditer(r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S):
            line = page.read_text()[: match.start()].count("\n") + 2
            found.append((f"{page.name}:{line}", match.group(1)))
    return found


def test_pages_have_snippets() -> None:
    assert len(snippets()) >= 15


def require_kernel_btf() -> None:
    try:
        kernel_btf()
    except Unsupported as error:
        pytest.skip(str(error))


def refused() -> str | None:
    """Why the programs about the kernel's newest functions cannot be tried here."""
    require_kernel_btf()
    if not kernel_btf().types_named("bpf_task_from_vpid"):
        return "this kernel does not have the functions that the page is about"
    return permitted()


@pytest.mark.parametrize("where, code", snippets(), ids=[where for where, _ in snippets()])
def test_snippet(where: str, code: str, tmp_path: Path) -> None:
    name = "snippet_" + re.sub(r"\W", "_", where)
    path = tmp_path / f"{name}.py"
    path.write_text(code)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        if "kernel_btf()" in code:
            require_kernel_btf()
        spec.loader.exec_module(module)
        if where.startswith(WITHOUT_PROGRAMS) or "import purebpf as bpf" not in code:
            return
        programs = [value for value in vars(module).values() if isinstance(value, Program)]
        for operations in (value for value in vars(module).values() if isinstance(value, StructOps)):
            programs += operations.programs.values()
        assert programs, f"{where} defines no program"
        if "Storage[" in code:  # the virtual machine has no objects to keep values at
            if (why := permitted()) is not None:
                pytest.skip(why)
            with load(*programs, engine="kernel"):
                pass
        elif not where.startswith(OF_THE_KERNEL):
            with load(*programs, engine="vm"):
                pass
        elif (why := refused()) is None:
            with load(*programs, engine="kernel"):
                pass
        else:
            pytest.skip(why)
    finally:
        del sys.modules[name]
