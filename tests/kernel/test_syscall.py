"""The system call layer: interrupted calls, descriptors, CPU lists."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from purebpf.errors import Error, NotLoaded, Unsupported
from purebpf.kernel import cpus, syscall, verifier
from purebpf.kernel.attr import pack, read
from purebpf.kernel.descriptor import LOWEST, Descriptor
from purebpf.kernel.netlink import attributes, xdp_mode
from purebpf.kernel.probe import FEATURES, LEVELS, cpu_level, has_feature
from purebpf.tables.enums import Command

ROOT = Path(__file__).resolve().parents[2]


def answers(monkeypatch: pytest.MonkeyPatch, *given: int) -> list[tuple[object, ...]]:
    """Let bpf(2) answer this; the calls that were made. The last answer repeats."""
    calls: list[tuple[object, ...]] = []

    def call(*arguments: object) -> int:
        calls.append(arguments)
        return given[min(len(calls), len(given)) - 1]

    made: Callable[[], Callable[..., int]] = lambda: call  # noqa: E731
    monkeypatch.setattr(syscall, "bpf_call", made)
    return calls


def test_interrupted_call_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answers(monkeypatch, -errno.EINTR, -errno.EINTR, 7)
    assert syscall.bpf(Command.MAP_CREATE, {"map_type": 1}) == 7
    assert len(calls) == 3


def test_interrupted_test_run_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answers(monkeypatch, -errno.EINTR, 7)
    assert syscall.bpf(Command.PROG_TEST_RUN, {"prog_fd": 3}) == -errno.EINTR
    assert len(calls) == 1


def test_load_is_made_again_on_eagain_until_it_may_go_undisturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    masks: list[set[signal.Signals]] = []
    given = [-errno.EAGAIN] * syscall.PATIENCE + [9]

    def call(*_: object) -> int:
        masks.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, [])))  # type: ignore[arg-type]
        return given[len(masks) - 1]

    monkeypatch.setattr(syscall, "bpf_call", lambda: call)
    assert syscall.bpf(Command.PROG_LOAD, {"prog_type": 1}) == 9
    assert signal.SIGPROF not in masks[0]
    assert signal.SIGPROF in masks[-1]
    assert signal.SIGPROF not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_other_commands_report_eagain(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, -errno.EAGAIN)
    assert syscall.bpf(Command.MAP_CREATE, {}) == -errno.EAGAIN


def test_log_grows_until_it_fits_and_only_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []

    def fake(command: Command, attribute: bytearray, size: int) -> int:
        level, log_size = (read("PROG_LOAD", attribute, name) for name in ("log_level", "log_size"))
        sizes.append((level, log_size))
        return -errno.ENOSPC if log_size < 300_000 else -errno.EACCES

    monkeypatch.setattr(verifier, "bpf", lambda command, fields: fake(command, *pack(command.name, fields)))
    monkeypatch.setattr(verifier, "bpf_buffer", fake)
    assert verifier.load({"prog_type": 1}) == (-errno.EACCES, "")
    assert sizes == [(0, 0), (1, 65536), (1, 524288)]


def test_load_without_privilege_is_not_tried_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def refuse(*arguments: object) -> int:
        calls.append(arguments)
        return -errno.EPERM

    monkeypatch.setattr(verifier, "bpf", refuse)
    assert verifier.load({"prog_type": 1}) == (-errno.EPERM, "")
    assert len(calls) == 1


@pytest.mark.parametrize(("log", "count"), [("", 0), ("processed 12 insns (limit 1000000)\n", 12), ("processed much\n", 0)])
def test_count_of_verified_instructions_is_read_from_the_log(log: str, count: int) -> None:
    assert verifier.count_verified(log) == count


def test_unknown_machine_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscall, "_bpf", None)
    monkeypatch.setattr("os.uname", lambda: type("U", (), {"machine": "vax"})())
    with pytest.raises(Unsupported, match=r"number of bpf\(2\) is not known on vax"):
        syscall.bpf_call()


def test_descriptor_closes_once_and_says_when_it_is_closed() -> None:
    reader, writer = os.pipe()
    descriptor = Descriptor(reader, "the pipe")
    os.close(writer)
    assert descriptor.number == reader
    descriptor.close()
    with pytest.raises(NotLoaded, match="the pipe is closed"):
        _ = descriptor.number
    other = os.dup(0)
    assert other == reader
    descriptor.close()  # must not close what has the number now
    os.fstat(other)
    os.close(other)


def test_low_descriptor_numbers_are_avoided() -> None:
    code = (
        "import os; from purebpf.kernel.descriptor import Descriptor; os.close(0); "
        "zero = os.open('/dev/null', os.O_RDONLY); made = Descriptor(zero, 'it'); "
        "import fcntl; print(zero, made.number, fcntl.fcntl(made.number, fcntl.F_GETFD), os.path.exists('/proc/self/fd/0')); "
        "made.close()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.split() == ["0", str(LOWEST), "1", "False"], done.stderr


def test_descriptors_are_closed_on_exec() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    with Descriptor(reader, "it") as descriptor:
        assert not os.get_inheritable(descriptor.number)


@pytest.mark.parametrize(("text", "numbers"), [("0\n", (0,)), ("0-3,8", (0, 1, 2, 3, 8)), ("", ())])
def test_cpu_lists(text: str, numbers: tuple[int, ...]) -> None:
    assert cpus.parse(text) == numbers


def test_unreadable_cpu_list_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus, "FOLDER", "/nowhere")
    with pytest.raises(Error, match="The list of online CPUs cannot be read"):
        cpus.online()


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x00\x00\x00", b"\xff\xff\x01\x00abcd", b"\x03\x00\x01\x00"])
def test_netlink_attributes_stop_at_what_is_not_well_formed(data: bytes) -> None:
    assert list(attributes(data)) == []


def test_interface_without_xdp_has_no_mode() -> None:
    assert xdp_mode(0x7FFF_FFF0) == ""


@pytest.mark.kernel
@pytest.mark.parametrize("name", FEATURES)
def test_feature_is_there_from_its_minimum_kernel_on(name: str) -> None:
    from purebpf.kernel.errors import kernel_version

    found = has_feature(name)
    assert found or kernel_version() < FEATURES[name].minimum, f"{name} should be there since {FEATURES[name].minimum}"


@pytest.mark.kernel
def test_cpu_level_is_the_highest_whole_one() -> None:
    level = cpu_level()
    assert all(has_feature(name) for number in range(2, level + 1) for name in LEVELS[number])
    assert level == 4 or not all(has_feature(name) for name in LEVELS[level + 1])


@pytest.mark.kernel
def test_unknown_feature_lists_the_known_ones() -> None:
    with pytest.raises(Error, match=r"no probe for 'telepathy'; there are probes for .*may_goto"):
        has_feature("telepathy")


@pytest.mark.kernel
def test_inconclusive_probe_is_an_error_and_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    from purebpf.kernel import probe

    monkeypatch.setattr(probe, "_known", {})
    with monkeypatch.context() as context:
        context.setattr(verifier, "load", lambda fields: (-errno.EMFILE, ""))
        with pytest.raises(OSError, match=r"Probing for may_goto failed.*too many open files"):
            has_feature("may_goto")
    assert probe._known == {}
    has_feature("may_goto")
    assert set(probe._known) == {"may_goto"}
