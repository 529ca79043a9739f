"""A pytest plugin: of each test that passes, which kinds of maps, programs and attachments it used, and through what.

A kind is recorded where purebpf made one: a map that was created, a program that was loaded or run, a program that was
attached. What probes of features create, and what tests only expect to be refused, does not count.
"""

from __future__ import annotations

import functools
import os
import re
import weakref
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from purebpf.collection import Collection
from purebpf.errors import Error
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.map import KernelMap
from purebpf.kernel.program import KernelProgram
from purebpf.kernel.struct_ops import StructOpsLink, StructOpsMap
from purebpf.lang.maps.declaration import MapDeclaration
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import AttachType, LinkType
from purebpf.vm.engine import VmEngine, VmProgram
from tests.kinds.measured import PROPERTY, Measured

SEEN: set[str] = set()
FROM_LANGUAGE: weakref.WeakSet[object] = weakref.WeakSet()
OF_LINK = {LinkType.XDP: AttachType.XDP, LinkType.PERF_EVENT: AttachType.PERF_EVENT, LinkType.STRUCT_OPS: AttachType.STRUCT_OPS}
PARTICULAR = r"\b\d+ (?=[a-z])|,? priority \d+| to [\w.:/]+"  # of a mechanism: numbers of functions, addresses
IN_MAPS = (
    AttachType.XDP_DEVMAP,
    AttachType.XDP_CPUMAP,
)  # their programs are put into a map, which is all the attaching there is


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kinds", metavar="FILE", help="write which kinds passed in this kernel, added to what is there")


def pytest_configure(config: pytest.Config) -> None:
    after(KernelMap, "__init__", lambda _, made, spec, *rest: SEEN.add(f"map {spec.type.name} kernel"))
    after(StructOpsMap, "__init__", operations)
    after(VmEngine, "create_map", lambda _, engine, spec: SEEN.add(f"map {spec.type.name} vm"))
    after(KernelProgram, "__init__", lambda _, made, spec, *rest: SEEN.update(loaded(spec, "kernel")))
    after(VmProgram, "run", ran)
    after(Collection, "_load_program", in_language)
    after(MapDeclaration, "bind", declared)
    after(KernelEngine, "attach", attached)
    after(KernelLink, "__init__", linked)
    if path := config.getoption("--kinds"):
        config.pluginmanager.register(Writer(Path(path)), "kinds")


def after(owner: Any, name: str, tell: Callable[..., object]) -> None:
    """Have `tell` called with the result and the arguments of a method, each time that it returns."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def told(*arguments: Any, **named: Any) -> Any:
        result = method(*arguments, **named)
        tell(result, *arguments, **named)
        return result

    setattr(owner, name, told)


def loaded(spec: ProgramSpec, side: str) -> set[str]:
    hook = spec.attach_type
    return {f"program {spec.type.name} {side}", *(f"attach {one.name} {side}" for one in IN_MAPS if one is hook)}


def ran(result: object, program: VmProgram, **_: object) -> None:
    SEEN.add(f"program {program.spec.type.name} vm")
    if program.spec.attach_type is not None:
        SEEN.add(f"attach {program.spec.attach_type.name} vm")


def in_language(result: object, collection: Collection, spec: ProgramSpec, *_: object) -> None:
    FROM_LANGUAGE.add(result)
    SEEN.update(loaded(spec, "language"))


def declared(result: object, declaration: MapDeclaration, live: Any, engine: object) -> None:
    if live is not None:
        SEEN.add(f"map {live.spec.type.name} language")


def operations(result: object, made: StructOpsMap, *_: object) -> None:
    SEEN.update(f"map STRUCT_OPS {side}" for side in ("kernel", "language"))


def linked(result: object, link: KernelLink, mechanism: str, *_: object, **__: object) -> None:
    sides = ("kernel", "language") if isinstance(link, StructOpsLink) else ("kernel",)
    SEEN.update(f"{one} {side}" for one in kinds_of(link) for side in sides)
    SEEN.add(f"mechanism {re.sub(PARTICULAR, '', mechanism)} kernel")


def attached(link: KernelLink, engine: object, program: KernelProgram, *_: object) -> None:
    """Where there is no link to ask, the attach type is the program's own."""
    kinds = kinds_of(link)
    if program.spec.attach_type is not None:
        kinds.add(f"attach {program.spec.attach_type.name}")
    if program.spec.attach_type is AttachType.TRACE_ITER:
        SEEN.add(f"mechanism iter link, {program.spec.attach_to} kernel")
    sides = ("kernel", "language") if program in FROM_LANGUAGE else ("kernel",)
    SEEN.update(f"{one} {side}" for one in kinds for side in sides)


def kinds_of(link: KernelLink) -> set[str]:
    """What the kernel says of a link; nothing where there is none."""
    if link.mechanism.startswith("xdp by netlink"):
        return {"attach XDP"}
    try:
        type = link.info.type
        hook = link.details.get("attach_type", OF_LINK.get(LinkType(type)))
    except Error:
        return set()
    name = "" if hook is None else hook if isinstance(hook, str) else AttachType(hook).name  # type: ignore[call-overload]
    return {f"link {LinkType(type).name}", *([f"attach {name.upper()}"] if name else [])}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    SEEN.clear()
    yield
    item.user_properties.append((PROPERTY, sorted(SEEN)))


class Writer:
    """Adds what passed to a file of measurements."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.passed: dict[str, list[str]] = {}
        self.ran: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran.append(report.nodeid)
        for name, kinds in report.user_properties if report.when == "call" and report.passed else ():
            if name == PROPERTY:
                self.passed[report.nodeid] = kinds  # type: ignore[assignment]

    def pytest_sessionfinish(self) -> None:
        measured = Measured.read(self.path)
        measured.kernel = os.uname().release.partition("-")[0]
        measured.add(self.ran, self.passed)
        measured.write(self.path)
