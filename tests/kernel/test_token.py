"""BPF tokens: what a process in a user namespace may do that a BPF file system delegates to (Linux 6.9)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from purebpf.kernel import token
from purebpf.kernel.attr import pack
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.engine import KernelEngine
from purebpf.tables.attr import INTEGERS
from purebpf.tables.enums import Command
from tests.kernel.user_namespace import delegated

ALL = {"delegate_cmds": "any", "delegate_maps": "any", "delegate_progs": "any", "delegate_attachs": "any"}
COUNTING = """
import purebpf as bpf
from purebpf.errors import Error
from purebpf.kernel.engine import KernelEngine
from tests.kernel.counting_program import counted, count
kernel = KernelEngine()
try:
    with count.load("kernel"):
        count.run(bytes(64))
        print("counted", counted[0], "token", kernel.token)
except Error as error:
    print(type(error).__name__, error)
"""


@pytest.mark.kernel
def test_a_program_is_loaded_with_what_is_delegated(tmp_path: Path) -> None:
    assert delegated(COUNTING, str(tmp_path), ALL) == f"counted 1 token {tmp_path}\n"


@pytest.mark.kernel
def test_without_delegation_it_is_told_how_to_get_some(tmp_path: Path) -> None:
    told = delegated(COUNTING, str(tmp_path), {})
    assert told.startswith("KernelError Creating the map 'counted'")
    assert "only inside a user namespace" in told
    assert "have a BPF file system mounted for the container that delegates rights to it" in told


@pytest.mark.kernel
def test_what_is_not_delegated_is_refused_and_the_token_is_named(tmp_path: Path) -> None:
    told = delegated(COUNTING, str(tmp_path), ALL | {"delegate_progs": "0x1"})
    assert told.startswith("KernelError Loading the program 'count' (xdp) failed: operation not permitted")
    assert f"The BPF token of {tmp_path} does not permit it: it has delegate_cmds=any" in told


@pytest.mark.kernel
def test_maps_alone(tmp_path: Path) -> None:
    code = """
from purebpf.kernel.engine import KernelEngine
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType
from purebpf.errors import KernelError
kernel = KernelEngine()
with kernel.create_map(MapSpec("m", MapType.HASH, 4, 4, 1)) as made:
    print(made.info.name)
try:
    kernel.create_map(MapSpec("m", MapType.ARRAY, 4, 4, 1))
except KernelError as error:
    print(error.errno)
"""
    assert delegated(code, str(tmp_path), {"delegate_cmds": "map_create", "delegate_maps": "hash"}) == "m\n1\n"


@pytest.mark.kernel
def test_a_process_that_has_privileges_uses_none(kernel: KernelEngine) -> None:
    assert kernel.token == ""


@pytest.mark.parametrize("command", token.FIELDS)
def test_the_attribute_says_that_there_is_a_token(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    held = Descriptor.none()
    held._number = 77
    monkeypatch.setattr(token, "find", lambda: token.Token("/bpf", "delegate_cmds=any", held))
    flags, place = token.FIELDS[command]
    fields: dict[str, int | bytes] = {flags: 2}
    calls = []

    def attempt() -> int:
        calls.append(bytes(pack(command.name, fields)[0]))
        return -1 if len(calls) == 1 else 5

    assert token.with_token(command, fields, attempt) == 5
    layout = INTEGERS[command.name]

    def read(attribute: bytes, name: str) -> int:
        at, size = layout[name]
        return int.from_bytes(attribute[at : at + size], sys.byteorder)

    without, with_it = calls
    held._number = -1
    assert (read(without, flags), read(without, place)) == (2, 0)
    assert (read(with_it, flags), read(with_it, place)) == (2 | 1 << 16, 77)


def test_file_systems_that_delegate_are_found_among_the_mounts(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "29 23 0:26 / /sys/fs/bpf rw,nosuid shared:9 - bpf bpf rw,mode=700\n"
        "31 23 0:27 / /run/my\\040bpf rw - bpf none rw,delegate_cmds=any,delegate_maps=hash:array\n"
        "32 23 0:28 / /delegate_cmds=x rw - tmpfs none rw\n"
    )
    assert token.file_systems(str(mounts)) == [("/run/my bpf", "delegate_cmds=any,delegate_maps=hash:array")]
    assert token.file_systems(str(tmp_path / "none")) == []
