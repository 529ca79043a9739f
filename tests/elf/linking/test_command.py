"""`purebpf link`: object files to one; beside it, `purebpf link list` still looks at what is attached."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from purebpf import link_objects
from tests.cli.test_cli import purebpf
from tests.elf.linking.kit import LICENSE, needs_clang, objects

pytestmark = needs_clang
FIRST = 'extern int limit;\nSEC("tc") int prog(struct __sk_buff *ctx) { return limit; }\n' + LICENSE
SECOND = "int limit = 3;\n"
EXTERN_MAP = (
    """
extern struct {
    __uint(type, 2);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} ports SEC(".maps");

SEC("tc") int prog(struct __sk_buff *ctx)
{
    __u32 key = 1;
    return ((void *(*)(void *, void *))1)(&ports, &key) != 0;
}
"""
    + LICENSE
)


def test_files_are_linked(tmp_path: Path) -> None:
    paths = [str(path) for path in objects(tmp_path, FIRST, SECOND)]
    for arguments in (["link", *paths, "-o"], ["link", "objects", *paths, "-o"], ["link", "--output"]):
        output = tmp_path / "all.o"
        done = purebpf(*arguments, str(output), *(paths if arguments[-1] == "--output" else []))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert output.read_bytes() == link_objects(paths)
        output.unlink()


def test_what_nobody_defines_is_told(tmp_path: Path) -> None:
    (path,) = objects(tmp_path, FIRST)
    done = purebpf("link", str(path), "-o", str(tmp_path / "all.o"))
    assert done.returncode == 0 and (tmp_path / "all.o").exists()
    assert done.stderr == f"Nobody defines limit; link {tmp_path}/all.o with the object that does.\n"


def test_a_map_that_nobody_defines_is_told(tmp_path: Path) -> None:
    (path,) = objects(tmp_path, EXTERN_MAP)
    done = purebpf("link", str(path), "-o", str(tmp_path / "all.o"))
    assert done.returncode == 0
    assert done.stderr == f"Nobody defines ports; link {tmp_path}/all.o with the object that does.\n"


def test_what_cannot_be_linked_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    (path,) = objects(tmp_path, SECOND)
    done = purebpf("link", str(path), str(path), "-o", str(tmp_path / "all.o"))
    assert done.returncode == 1 and not (tmp_path / "all.o").exists()
    assert done.stderr.startswith(f"'limit' is defined in {path} and again in {path}; rename one or make it static")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (path,) = objects(tmp_path, SECOND)
    done = purebpf("link", str(path), "-o", "/nowhere/all.o")
    assert done.returncode == 1 and done.stderr == "/nowhere/all.o cannot be written: No such file or directory\n"


def test_mistakes_in_the_command_are_told(tmp_path: Path) -> None:
    (path,) = objects(tmp_path, SECOND)
    assert "Missing option '-o'" in purebpf("link", str(path)).stderr
    assert "File 'shwo' does not exist" in purebpf("link", "shwo", "-o", "x.o").stderr
    helped = purebpf("link", "--help")
    assert helped.returncode == 0 and "objects" in helped.stdout and "list" in helped.stdout


def test_the_result_does_not_depend_on_the_process(tmp_path: Path) -> None:
    paths = [str(path) for path in objects(tmp_path, FIRST, SECOND)]
    code = "import sys, purebpf; sys.stdout.buffer.write(purebpf.link_objects(sys.argv[1:]))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code, *paths], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert found == {link_objects(paths)}
