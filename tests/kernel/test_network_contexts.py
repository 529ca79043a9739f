"""Every field of every network context at every hook: what the compiler takes, the kernel's verifier takes too."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from purebpf.kernel.errors import kernel_version
from purebpf.lang.network_types import HOOKS, NETWORK_KINDS, all_kinds, hooked
from purebpf.lang.program_types import ProgramKind
from purebpf.program import Program
from purebpf.tables.contexts import ContextField, FieldKind, context
from purebpf.tables.enums import AttachType, ProgramType
from purebpf.tables.since import parse, since
from tests.kernel import network_programs

pytestmark = pytest.mark.kernel
PLAIN = {"xdp", "tc", "socket_filter", "sk_reuseport"}
UNIX = (6, 7)
NEWER = {  # of hooks that came after their type
    AttachType.SK_SKB_VERDICT: (5, 13),
    AttachType.SK_REUSEPORT_SELECT_OR_MIGRATE: (5, 14),
    AttachType.CGROUP_INET_SOCK_RELEASE: (5, 9),
}
NEWER_FIELDS = {"hwtstamp": (5, 16), "skb_hwtstamp": (6, 2), "tstamp_type": (5, 18), "migrating_sk": (5, 14)}
NEWER_FIELDS |= {"ingress_ifindex of sk_lookup": (5, 17), "sk of sk_reuseport": (5, 14), "rx_queue_mapping": (5, 8)}


def kinds() -> Iterator[tuple[str, ProgramKind]]:
    for name, kind in all_kinds().items():
        found = context(kind.type)
        if found is None or found.struct in ("", "pt_regs", "bpf_perf_event_data", "bpf_raw_tracepoint_args"):
            continue
        if name in HOOKS:
            for hook in HOOKS[name]:
                written = "(migrate=True)" if hook == "migrate" else f'("{hook}")'
                yield name + written, hooked(kind, hook)
        if name in PLAIN or name not in HOOKS:
            yield name, kind


KINDS = dict(kinds())


def first_with(kind: ProgramKind, field: ContextField) -> tuple[int, int]:
    return NEWER_FIELDS.get(f"{field.name} of {kind.decorator}", NEWER_FIELDS.get(field.name, (0, 0)))


def readable(kind: ProgramKind) -> Iterator[ContextField]:
    found = context(kind.type)
    assert found is not None
    for field in found.fields.values():
        here = not field.read_attach or kind.attach in field.read_attach
        if field.readable and field.kind is FieldKind.SCALAR and here and kernel_version() >= first_with(kind, field):
            yield field


def lines(kind: ProgramKind) -> Iterator[str]:
    yield "total = u64(0)"
    for field in readable(kind):
        last = [0, field.count - 1] if field.count else []
        yield from (f"total ^= ctx.{field.name}[{i}]" for i in last)
        if not field.count:
            yield f"total ^= ctx.{field.name}"
    yield "noted[0] = total"
    found = context(kind.type)
    assert found is not None
    for field in found.fields.values():
        here = not field.write_attach or kind.attach in field.write_attach
        if field.writable and here:
            where = [f"{field.name}[0]", f"{field.name}[{field.count - 1}]"] if field.count else [field.name]
            yield from (f"ctx.{place} = 1" for place in where)
            yield from (f"ctx.{place} = ctx.{place}" for place in where)
        if field.kind is FieldKind.SOCKET and kernel_version() >= first_with(kind, field):
            yield f"sk = ctx.{field.name}"
            yield from ("if sk is not None:", *(f"    noted[0] = noted[0] ^ sk.{name}" for name in SOCKET_FIELDS))
    yield "return 1"


SOCKET_FIELDS = ("family", "src_ip4", "src_ip6[3]", "src_port", "dst_port", "dst_ip4", "dst_ip6[0]", "state", "bound_dev_if")


@pytest.mark.parametrize("name", KINDS)
def test_fields_of_every_hook(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    first = max(parse(since(kind.type)), NEWER.get(kind.attach, (0, 0)) if kind.attach else (0, 0))
    if "_unix" in name:
        first = UNIX
    if kernel_version() < first:
        pytest.skip(f"this kernel has no such programs (Linux {first[0]}.{first[1]})")
    path = tmp_path / "fields.py"
    body = "".join(f"    {line}\n" for line in lines(kind))
    head = "import purebpf as bpf\nfrom purebpf import u64\n\nnoted = bpf.Array[u64](max_entries=1)\n\n\n"
    path.write_text(f"{head}@bpf.{name}\ndef program(ctx):\n{body}")
    spec = importlib.util.spec_from_file_location("fields", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fields"] = module
    spec.loader.exec_module(module)
    program = module.program
    assert isinstance(program, Program)
    with program.load("kernel") as loaded:
        made = loaded.spec.programs["program"]
        assert (made.type, made.attach_type) == (kind.type, kind.attach)


PROGRAMS = {name: value for name, value in vars(network_programs).items() if isinstance(value, Program)}


@pytest.mark.skipif(kernel_version() < (6, 6), reason="dynptrs of packets, and loops without an end in sight, came later")
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_of_every_type_are_taken(name: str) -> None:
    with PROGRAMS[name].load("kernel"):
        pass


def test_there_is_a_program_of_every_type() -> None:
    types = {program.kind.type for program in PROGRAMS.values()}
    assert {kind.type for kind in NETWORK_KINDS} - types == {ProgramType.LWT_OUT, ProgramType.CGROUP_SOCK}
