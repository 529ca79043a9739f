"""Settings of the kernel as bytes of the types that an object declares them with."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from purebpf.btf.builder import encoded
from purebpf.btf.reader import Btf
from purebpf.btf.types import Array, Enum, Int
from purebpf.errors import Error, Unsupported
from purebpf.kernel import kconfig
from purebpf.spec import VariableSpec

TEXT = """
# CONFIG_OFF is not set
CONFIG_ON=y
CONFIG_LATER=m
CONFIG_HZ=250
CONFIG_BASE=0xffffffff80000000
CONFIG_NEGATIVE=-3
CONFIG_NAME="a long name"
"""
TYPES = (
    Int("int", 4, 32, signed=True),
    Int("bool", 1, 8, bool=True),
    Int("char", 1, 8, char=True, signed=True),
    Int("u64", 8, 64),
    Enum("libbpf_tristate", 4, False, (("NO", 0), ("YES", 1), ("MODULE", 2))),
    Array(3, 1, 6),
)
INT, BOOL, CHAR, U64, TRISTATE, CHARS = range(1, 7)
SIZES = {INT: 4, BOOL: 1, CHAR: 1, U64: 8, TRISTATE: 4, CHARS: 6}
BTF = Btf(encoded(TYPES, "little"))


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    monkeypatch.setattr(kconfig, "PLACES", (str(tmp_path / "none"), str(path)))
    return path


def value(name: str, type: int, weak: bool = False) -> bytes:
    return kconfig.kconfig([VariableSpec(name, ".kconfig", 8, SIZES[type], type, weak)], BTF, "little")[8:]


@pytest.mark.parametrize(
    "name, type, expected",
    [
        ("CONFIG_ON", BOOL, b"\1"),
        ("CONFIG_ON", CHAR, b"y"),
        ("CONFIG_ON", TRISTATE, b"\1\0\0\0"),
        ("CONFIG_LATER", TRISTATE, b"\2\0\0\0"),
        ("CONFIG_LATER", CHAR, b"m"),
        ("CONFIG_HZ", INT, (250).to_bytes(4, "little")),
        ("CONFIG_BASE", U64, 0xFFFFFFFF80000000.to_bytes(8, "little")),
        ("CONFIG_NEGATIVE", INT, (-3).to_bytes(4, "little", signed=True)),
        ("CONFIG_NAME", CHARS, b"a lon\0"),
    ],
)
def test_values(name: str, type: int, expected: bytes) -> None:
    assert value(name, type) == expected


def test_what_is_weak_may_be_missing() -> None:
    assert value("CONFIG_OFF", INT, weak=True) == bytes(4)
    with pytest.raises(Unsupported, match=r"asks for CONFIG_OFF, which this kernel does not have: .*gz does not set"):
        value("CONFIG_OFF", INT)
    with pytest.raises(Unsupported, match="LINUX_KERNEL_VERSION, LINUX_HAS_BPF_COOKIE and"):
        value("LINUX_OF_NOTHING", INT)


@pytest.mark.parametrize(
    "name, type",
    [
        ("CONFIG_LATER", BOOL),
        ("CONFIG_ON", INT),
        ("CONFIG_HZ", BOOL),
        ("CONFIG_NAME", INT),
        ("CONFIG_HZ", CHARS),
        ("CONFIG_BASE", INT),
    ],
)
def test_types_that_cannot_hold_a_value(name: str, type: int) -> None:
    with pytest.raises(Error, match=f"{name} is to hold"):
        value(name, type)


def test_what_is_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    class Release:
        release = "6.18.300-rc1+x"

    monkeypatch.setattr(os, "uname", Release)
    assert int.from_bytes(value("LINUX_KERNEL_VERSION", INT), "little") == 6 << 16 | 18 << 8 | 255
    monkeypatch.setattr(kconfig, "kernel_version", lambda: (5, 14))
    assert value("LINUX_HAS_BPF_COOKIE", BOOL) == b"\0"
    monkeypatch.setattr(kconfig, "kernel_version", lambda: (5, 15))
    assert value("LINUX_HAS_BPF_COOKIE", BOOL) == b"\1"


WRAPPERS = [("__x64_sys_bpf", b"\1"), ("__arm64_sys_bpf", b"\1"), ("bpf_sys_bpf", b"\0"), ("__se_sys_bpf", b"\0")]


@pytest.mark.parametrize("symbol, found", WRAPPERS)
def test_system_calls_with_their_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, symbol: str, found: bytes) -> None:
    table = tmp_path / "kallsyms"
    table.write_text(f"ffffffff81000000 T sys_bpf\nffffffff81000010 t {symbol}\nffffffff81000020 T more\n")
    monkeypatch.setattr(kconfig, "SYMBOLS", str(table))
    assert value("LINUX_HAS_SYSCALL_WRAPPER", BOOL) == found
