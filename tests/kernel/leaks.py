"""A pytest plugin: a test with the marker `kernel` fails when it leaves a descriptor open, and so does the run as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

FOLDER = "/proc/self/fd"
KEPT = ("/sys/kernel/btf/vmlinux",)  # mapped once and for all, see purebpf.btf.running
BEFORE = pytest.StashKey[dict[int, str]]()


def open_descriptors() -> dict[int, str]:
    """Every open descriptor of this process and what it is."""
    found = {}
    for name in os.listdir(FOLDER):
        try:
            found[int(name)] = os.readlink(f"{FOLDER}/{name}")
        except FileNotFoundError:  # the one that listed the folder
            continue
    return found


def leaked(before: dict[int, str]) -> list[str]:
    """What is open now and was not then, in words."""
    return [
        f"{number} ({what})" for number, what in open_descriptors().items() if before.get(number) != what and what not in KEPT
    ]


@pytest.fixture(autouse=True)
def no_descriptor_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    if not request.node.get_closest_marker("kernel"):
        yield
        return
    before = open_descriptors()
    yield
    left = leaked(before)
    assert not left, f"{request.node.nodeid} left descriptors open: {', '.join(left)}"


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[BEFORE] = open_descriptors()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Only what belongs to our field: other plugins may open files of their own."""
    ours = [one for one in leaked(session.config.stash[BEFORE]) if any(word in one for word in ("bpf", "perf_event", "trace"))]
    if ours:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nThe test run left descriptors open: {', '.join(ours)}")
