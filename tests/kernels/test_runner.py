"""The runner of kernel tests itself, as far as it goes without booting: choice of kernels, results, table, what is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from purebpf.compiler.diagnostics import Place, UnsupportedProgram
from purebpf.errors import Unsupported
from tests.kernels import boot, children
from tests.kernels.__main__ import files, main
from tests.kernels.errors import CannotRun
from tests.kernels.fetch import Kernel, choose, split
from tests.kernels.initramfs import with_dependencies
from tests.kernels.machines import ARM, MACHINES, PC, Machine
from tests.kernels.results import Results, upstream
from tests.kernels.stream import first_kernel, sentence
from tests.kernels.table import table

RELEASES = ["6.12.107+deb13-amd64", "5.10.0-9-amd64", "6.1.0-50-amd64", "5.10.0-46-amd64", "7.2.12+deb14-amd64"]


@pytest.mark.parametrize(
    "wanted, release",
    [
        ("5.10", "5.10.0-46-amd64"),
        ("6.1", "6.1.0-50-amd64"),
        ("6.12", "6.12.107+deb13-amd64"),
        ("newest", "7.2.12+deb14-amd64"),
    ],
)
def test_the_newest_kernel_of_a_series_is_chosen(wanted: str, release: str) -> None:
    assert choose(RELEASES, wanted) == release


@pytest.mark.parametrize("wanted, words", [("6.6", "no kernel 6.6"), ("old", "no kernel series"), ("6.", "no kernel series")])
def test_a_kernel_that_is_not_there_is_an_error(wanted: str, words: str) -> None:
    with pytest.raises(CannotRun, match=words):
        choose(RELEASES, wanted)


@pytest.mark.parametrize(
    "wanted, series, machine",
    [("6.1", "6.1", PC), ("newest", "newest", PC), ("arm64", "newest", ARM), ("6.1-arm64", "6.1", ARM)],
)
def test_a_kernel_is_asked_for_by_series_and_machine(wanted: str, series: str, machine: Machine) -> None:
    assert split(wanted) == (series, machine)


def test_a_guest_of_another_machine_has_programs_of_its_own() -> None:
    kernel = Kernel("6.1.0-50-arm64", Path("vmlinuz"), Path("modules"), ARM, Path("/programs"))
    assert "/usr/bin/python3 -m pytest" in boot.script(kernel, boot.pytest(["tests/isa"]), {})
    words = boot.command(kernel, Path("archive"), Path("console"))
    assert words[0] == "qemu-system-aarch64" and any("path=/programs,mount_tag=programs" in word for word in words)
    assert "kvm" not in words


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_the_default_tests_are_there(machine: Machine) -> None:
    assert all(files([pattern]) for pattern in machine.tests)
    assert "tests/compiler/test_language_maps.py" in files(machine.tests)


def test_modules_come_with_those_they_need() -> None:
    listing = "fs/9p/9p.ko.xz: net/9pnet.ko.xz\nnet/9pnet.ko.xz: fs/net-fs.ko\nfs/net-fs.ko:\na/b.ko:\n"
    lines = with_dependencies(listing, ("9p", "built_in"))
    assert sorted(line.partition(":")[0] for line in lines) == ["fs/9p/9p.ko.xz", "fs/net-fs.ko", "net/9pnet.ko.xz"]


def line(**event: object) -> str:
    return json.dumps(event)


def finished(*lines: str, status: int = 0, release: str = "6.1", version: str = "") -> Results:
    results = Results("6.1")
    for one in (*lines, line(event="finish", status=status, release=release, version=version)):
        results.take(one)
    return results


PASSED = (line(event="start", test="a"), line(event="end", test="a", outcome="passed", text=""))
SKIPPED = (line(event="start", test="b"), line(event="end", test="b", outcome="skipped", text="too old"))
FAILED = (line(event="start", test="c"), line(event="end", test="c", outcome="failed", text="it broke"))


DEBIAN = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-07-02)"


def test_a_kernel_is_named_by_its_own_version() -> None:
    assert upstream(DEBIAN) == "6.1.176"
    assert upstream("#1 SMP PREEMPT_DYNAMIC Debian 7.3.4-1~bpo13+1 (2026-11-01)") == "7.3.4"
    assert upstream("#5 SMP of my own") == ""


def test_the_table_tells_numbers_reasons_and_failures() -> None:
    seen = line(event="count", what="things", number=3)
    fact = line(event="fact", what="its color", text="red")
    good, bad = finished(*PASSED, seen, seen, fact, *SKIPPED, version=DEBIAN), finished(*PASSED, *FAILED, status=1)
    assert good.good and not bad.good
    words = table([good, bad])
    assert words.splitlines()[-2:] == [
        "6.1.176 passed=1 failed=0 skipped=1 (6.1, 0 s)",
        "6.1 passed=1 failed=1 skipped=0 (6.1, 0 s)  <-- failed",
    ]
    lines = [one.split() for one in words.splitlines()]
    assert ["1", "too", "old"] in lines
    assert ["6", "things"] in lines
    assert ["6.1.176", "6.1", "found"] in lines and ["red", "-", "its", "color"] in lines
    assert ["it", "broke"] in lines


def test_the_table_shows_where_kernels_differ() -> None:
    old, new = finished(*PASSED, *SKIPPED, *FAILED), finished(*PASSED, line(event="end", test="b", outcome="passed", text=""))
    lines = [one.split() for one in table([old, new]).splitlines()]
    start = lines.index(["6.1", "6.1", "test"])
    assert lines[start + 1 : start + 3] == [["skip", "ok", "b"], ["FAIL", "-", "c"]]
    assert ["ok", "ok", "a"] not in lines
    assert "same outcome" in table([old, old])


@pytest.mark.parametrize(
    "results, words",
    [
        (finished(*SKIPPED), "no test ran"),
        (finished(status=5), "no test ran"),
        (finished(*PASSED, status=3), "exit status 3"),
        (finished(*PASSED, release="6.18"), "the guest ran Linux 6.18"),
        (finished(*PASSED, "Oops: 0000"), "is no result"),
    ],
)
def test_a_run_without_good_results_has_failed(results: Results, words: str) -> None:
    assert not results.good
    assert words in table([results])


def test_a_guest_that_died_has_failed() -> None:
    results = Results("6.1")
    for one in PASSED:
        results.take(one)
    assert not results.good


def guest(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)


def test_lines_of_a_guest_come_one_by_one_until_it_ends() -> None:
    lines: list[str] = []
    with guest("print('one\\r\\n\\ntwo', flush=True)") as process:
        assert boot.listen(process, time.monotonic() + 60, lines.append)
    assert lines == ["one", "two"]


def test_a_guest_that_hangs_is_given_up() -> None:
    lines: list[str] = []
    with guest("import time; print('one', flush=True); time.sleep(60)") as process:
        assert not boot.listen(process, time.monotonic() + 1, lines.append)
        process.kill()


def test_nothing_stays_when_a_run_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_ended", False)
    with children.child(["sleep", "60"]) as process:
        children.end_all()
        assert process.wait(10) == -signal.SIGKILL
    with pytest.raises(CannotRun), children.child(["sleep", "60"]):
        pass


TESTS = """
import pytest
from purebpf.errors import Unsupported

def test_passes(): pass
def test_fails(): assert 1 == 2
@pytest.mark.skip(reason="of this")
def test_skipped(): pass
@pytest.mark.skipif(True, reason="of that")
def test_skipped_by_a_condition(): pass
def test_skips_itself(): pytest.skip("inside")
def test_too_new(): raise Unsupported("It needs TCX links, which Linux 99.6 brought; this is 5.10.")
def test_not_too_new(): raise Unsupported("It needs maps, which Linux 3.19 brought; this is 5.10.")
def test_refused(): raise Unsupported("Loading failed.")
@pytest.fixture
def broken():
    yield
    raise RuntimeError("at the end")
def test_teardown(broken): pass
def test_both(broken): assert 3 == 4
def test_counts(record_property):
    record_property("count things", 5)
    record_property("fact color", "red")
    record_property("kinds", ["map HASH kernel"])
"""


def test_the_plugin_tells_what_came_of_each_test(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(textwrap.dedent(TESTS))
    stream = tmp_path / "stream"
    command = [sys.executable, "-m", "pytest", "-p", "tests.kernels.stream", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=boot.ROOT, env={**os.environ, "PUREBPF_STREAM": str(stream)}, capture_output=True)
    assert done.returncode == 1
    results = Results(os.uname().release)
    for one in stream.read_text().splitlines():
        results.take(one)
    assert results.finished and not results.trouble
    assert results.count("passed") == 2
    assert results.counted == {"things": 5}
    assert results.facts == {"color": "red"}
    assert [(test.partition("::")[2], kinds) for test, kinds in results.kinds.items()] == [("test_counts", ["map HASH kernel"])]
    message = "It needs TCX links, which Linux 99.6 brought; this is 5.10."
    assert dict(results.skipped) == {"of this": 1, "of that": 1, "inside": 1, message: 1}
    assert [test.partition("::")[2] for test in results.failed] == [
        "test_fails",
        "test_not_too_new",
        "test_refused",
        "test_teardown",
        "test_both",
    ]
    first, *_, last = results.failed.values()
    assert "assert 1 == 2" in first
    assert "assert 3 == 4" in last and "at the end" in last


@pytest.mark.parametrize(
    "message, first",
    [
        ("It needs TCX links, which Linux 6.6 brought; this is 5.10.", (6, 6)),
        ("The program 'x' needs may_goto (Linux 6.9; this is 5.10).", (6, 9)),
        (
            "'x' calls the helper h, which this kernel does not give to programs of this type (Linux 6.18 does; this is 5.10).",
            (6, 18),
        ),
        ("error: an atomic `^=` needs cpu level 3 (Linux 5.12)", (5, 12)),
        ("error: the kernel cannot see that this loop ends\n3 | while x: ^^^ such loops came with Linux 6.9", (6, 9)),
        ("The program 'x' needs luck.", (0, 0)),
    ],
)
def test_the_first_kernel_with_a_feature_is_known(message: str, first: tuple[int, int]) -> None:
    assert first_kernel(message) == first


def test_a_program_that_is_too_new_is_told_without_its_place() -> None:
    place = Place("loops.py", 3, 4, 9, "    while x:")
    error = UnsupportedProgram(
        "the kernel cannot see that this loop ends", place, "such loops came with Linux 6.9", "give it a bound"
    )
    assert sentence(error) == "the kernel cannot see that this loop ends: such loops came with Linux 6.9"
    assert sentence(Unsupported("It is too old.")) == "It is too old."
    assert first_kernel(str(error)) == (6, 9)


def test_without_qemu_it_fails_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(["6.1", "--cache", str(tmp_path / "cache")]) == 1
    assert "qemu" in capsys.readouterr().err or os.uname().machine != "x86_64"
    assert not (tmp_path / "cache").exists()
