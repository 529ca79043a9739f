"""`purebpf btf dump`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.btf.elf import elf_file
from tests.btf.graphs import task_btf
from tests.cli.test_cli import purebpf


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "task.btf"
    path.write_bytes(task_btf()[0].raw)
    return str(path)


def test_dump_writes_lines(file: str) -> None:
    lines = purebpf("btf", "dump", file).stdout.splitlines()
    assert lines[:2] == ["[1] STRUCT 'task' size=56 vlen=9", "\t'pid' type_id=14 bits_offset=0"]
    assert len([line for line in lines if line.startswith("[")]) == len(task_btf()[0]) - 1


def test_dump_writes_one_type_as_a_header(file: str) -> None:
    text = purebpf("btf", "dump", file, "--type", "struct task", "--format", "c").stdout
    assert "struct task {\n\tpid_t pid;" in text and "kick" not in text


def test_dump_writes_json(file: str) -> None:
    made = json.loads(purebpf("btf", "dump", file, "--format", "json").stdout)
    assert [each["kind"] for each in made["types"]][:3] == ["STRUCT", "INT", "INT"]
    assert made["types"][0]["members"][2] == {"name": "low", "type_id": 3, "bits_offset": 64, "bitfield_size": 3}
    assert len(json.loads(purebpf("btf", "dump", file, "--format", "json", "--type", "kick").stdout)["types"]) == 1


def test_dump_reads_object_files(tmp_path: Path) -> None:
    (tmp_path / "x.o").write_bytes(elf_file({".BTF": bytes(task_btf()[0].raw)}))
    assert "FUNC 'kick'" in purebpf("btf", "dump", str(tmp_path / "x.o")).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no/such/file",), "no/such/file cannot be read: No such file or directory"),
        (("README.md",), "the bytes are no BTF"),
        (("no_such_module",), "no_such_module"),
        (("FILE", "--type", "nothing"), "has no type named 'nothing'"),
    ],
)
def test_what_is_wrong_is_told_without_a_traceback(arguments: tuple[str, ...], said: str, file: str) -> None:
    done = purebpf("btf", "dump", *(file if each == "FILE" else each for each in arguments))
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
