"""Finds tracefs and what is in it: ids of tracepoints (Documentation/trace/events.rst). Mounts nothing."""

from __future__ import annotations

import os

from purebpf.errors import Error, KernelError
from purebpf.kernel.errors import failure

PLACES = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
NEEDS = ("CAP_DAC_READ_SEARCH",)


def folder() -> str:
    """Where tracefs is mounted. Raises Error that tells how to mount it."""
    denied = ""
    for place in PLACES:
        try:
            if "events" in os.listdir(place):
                return place
        except PermissionError:
            denied = place
        except OSError:
            continue
    if denied:
        raise failure(13, f"Looking for tracepoints in {denied}", needs=NEEDS)
    raise Error(
        f"tracefs is not mounted (looked in {' and '.join(PLACES)}). Mount it, as root: mount -t tracefs tracefs {PLACES[0]}"
    )


def tracepoint_id(category: str, name: str) -> int:
    """The number perf_event_open(2) knows the tracepoint by. Raises Error when there is none, naming similar ones."""
    where = folder()
    if not _is_name(category) or not _is_name(name):
        raise Error(f"{category}/{name} is no name of a tracepoint: such as syscalls/sys_enter_openat.")
    path = f"{where}/events/{category}/{name}/id"
    try:
        with open(path) as file:
            return int(file.read())
    except FileNotFoundError:
        raise Error(f"There is no tracepoint {category}/{name} on this kernel.{_similar(where, category, name)}") from None
    except OSError as error:
        found: KernelError | Error = failure(error.errno or 5, f"Reading {path}", needs=NEEDS)
        raise found from error


def _is_name(text: str) -> bool:
    plain = text.translate(str.maketrans("", "", "_.:-"))
    return text.isascii() and not text.startswith(".") and (plain.isalnum() or (bool(text) and not plain))


def _similar(where: str, category: str, name: str) -> str:
    import difflib

    events = f"{where}/events"
    if not os.path.isdir(f"{events}/{category}"):
        there = sorted(entry for entry in os.listdir(events) if os.path.isdir(f"{events}/{entry}"))
        near = difflib.get_close_matches(category, there, 3)
        return f" There is no category {category}{'; similar: ' + ', '.join(near) if near else ''}."
    there = sorted(entry for entry in os.listdir(f"{events}/{category}") if os.path.isdir(f"{events}/{category}/{entry}"))
    near = difflib.get_close_matches(name, there, 3)
    return f" Similar: {', '.join(f'{category}/{one}' for one in near)}." if near else ""
