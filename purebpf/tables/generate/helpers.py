"""Writes `helper_rows.py`: prototypes from `facts/prototypes.tsv`, minimum versions from `facts/since.tsv`, permissions and
argument details from the measured records, one line about each helper from `facts/helpers.tsv`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from purebpf.tables.enums import MapType, ProgramType
from purebpf.tables.generate import measured
from purebpf.tables.generate.measured import FACTS, Record
from purebpf.tables.generate.signatures import Draft, ResultDraft, draft, result
from purebpf.tables.generate.text import header, rows
from purebpf.tables.generate.uapi import Prototype, parse_prototype, prototypes

# What no kernel at hand could be asked, from its source: drivers/media/rc/bpf-lirc.c and kernel/trace/bpf_trace.c.
LIRC = (
    "rc_repeat rc_keydown rc_pointer_rel map_lookup_elem map_update_elem map_delete_elem map_push_elem map_pop_elem "
    "map_peek_elem ktime_get_ns ktime_get_boot_ns tail_call get_prandom_u32 trace_printk"
)
ASSUMED: dict[str, tuple[ProgramType, ...]] = {
    **dict.fromkeys(LIRC.split(), (ProgramType.LIRC_MODE2,)),
    "override_return": (ProgramType.KPROBE,),
}
ASSUMED_GPL = {"rc_repeat", "rc_keydown", "rc_pointer_rel", "override_return"}

# Map types of helpers whose calls cannot be built for a measurement; from check_map_func_compatibility in the verifier.
STORAGE = {"sk": MapType.SK_STORAGE, "inode": MapType.INODE_STORAGE, "task": MapType.TASK_STORAGE, "cgrp": MapType.CGRP_STORAGE}
TABLES = (MapType.HASH, MapType.ARRAY, MapType.LRU_HASH)
MAPS: dict[str, tuple[MapType, ...]] = {
    **{f"{owner}_storage_{verb}": (type,) for owner, type in STORAGE.items() for verb in ("get", "delete")},
    "skb_output": (MapType.PERF_EVENT_ARRAY,),
    "xdp_output": (MapType.PERF_EVENT_ARRAY,),
    "for_each_map_elem": (*TABLES, MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH),
    "timer_init": TABLES,
    "ringbuf_reserve_dynptr": (MapType.RINGBUF,),
    "user_ringbuf_drain": (MapType.USER_RINGBUF,),
}


def write_prototypes(headers: Path) -> str:
    """The text of `facts/prototypes.tsv`, from `linux/bpf.h` below `headers`."""
    lines = ["# Helper number and prototype, as include/uapi/linux/bpf.h documents them; by `--prototypes`."]
    return "\n".join(lines + [f"{each.id}\t{each.text}" for each in prototypes(headers / "linux/bpf.h")]) + "\n"


def facts(name: str) -> list[list[str]]:
    lines = (FACTS / name).read_text().splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def read_prototypes() -> list[Prototype]:
    """The helpers in order of number."""
    return [parse_prototype(int(id), text) for id, text in facts("prototypes.tsv")]


def versions(kind: str) -> dict[str, str]:
    """Name -> first kernel, of one kind of `facts/since.tsv`."""
    return {name: version for which, version, names in facts("since.tsv") if which == kind for name in names.split()}


def details(draft: Draft | ResultDraft) -> str:
    """What differs from the defaults of `helpers.Arg` and `helpers.Result`, as words."""
    words = [str(draft.width)] if draft.width != 64 else []
    if draft.signed:
        words.append("signed")
    for name in ("pair", "size", "pointee", "elsewhere"):
        value = getattr(draft, name, None)
        if value not in (None, ""):
            words.append(f"{name}={value}")
    for name in ("reads", "writes", "nullable", "zero", "constant", "releases", "acquires"):
        if getattr(draft, name, False):
            words.append(name)
    return " ".join(words)


def complete(prototype: Prototype, record: Record) -> tuple[Draft, ...]:
    """The arguments with what was measured about them. Raises ValueError for memory neither read nor written."""
    args = []
    for arg, flags in zip(draft(prototype), record.flags, strict=True):
        arg = replace(arg, **dict.fromkeys(flags or (), True))  # type: ignore[arg-type]
        if arg.kind in ("mem", "map_value") and not (arg.reads or arg.writes):
            raise ValueError(f"{prototype.name}: whether {arg.name} is read or written was not measured; say it in EXCEPTIONS")
        args.append(arg)
    return tuple(args)


def row(prototype: Prototype, record: Record, since: str, about: str) -> str:
    """One helper as a literal."""
    assumed = set(ASSUMED.get(prototype.name, ())) - record.allowed.keys()
    letters = record.letters | ({"g"} if prototype.name in ASSUMED_GPL else set())
    if prototype.parameters and prototype.parameters[-1][0] == "...":
        letters |= {"v"}
    given = result(prototype)
    maps = record.maps | set(MAPS.get(prototype.name, ()))
    attach = tuple((int(type), tuple(int(each) for each in some)) for type, some in measured.partial(record).items())
    literal = (
        prototype.id,
        prototype.name,
        (given.kind, given.c_type, details(given)),
        tuple((arg.name, arg.c_type, arg.kind, details(arg)) for arg in complete(prototype, record)),
        "".join(sorted(letters)),
        since,
        mask(record.allowed.keys() | assumed),
        mask(assumed),
        attach,
        mask(maps),
        about,
    )
    return repr(literal)


def mask(members: set[ProgramType] | set[MapType]) -> int:
    return sum(1 << int(member) for member in members)


def render() -> str:
    """The whole text of `helper_rows.py`. Raises ValueError when the facts do not fit together."""
    paths = measured.records()
    merged = measured.merge([measured.read(path) for path in paths])
    since, about = versions("helper"), {row[0]: row[1] for row in facts("helpers.tsv")}
    known = read_prototypes()
    strange = (since.keys() | about.keys() | merged.keys()) ^ {prototype.name for prototype in known}
    if strange:
        raise ValueError(f"the files in facts/ do not agree about these helpers: {', '.join(sorted(strange))}")
    source = f"facts/prototypes.tsv, since.tsv, helpers.tsv, {', '.join(path.name for path in paths)}"
    lines = header("helper_rows", "One row for each helper; `helpers.py` tells what the columns mean.", source)
    lines += ["# ruff: noqa: E501", "# fmt: off", "from __future__ import annotations", ""]
    lines += [
        "ArgRow = tuple[str, str, str, str]",
        "Row = tuple[",
        "    int, str, tuple[str, str, str], tuple[ArgRow, ...], str, str, int, int,",
        "    tuple[tuple[int, tuple[int, ...]], ...], int, str,",
        "]",
        "",
        f"NEWEST = {measured.version(paths[0])[:2]}  # of the kernels that were asked",
        "",
        "# number, name, result, arguments, letters, since, programs, of them assumed, attach types, maps, about",
    ]
    literals = [row(each, merged[each.name], since[each.name], about[each.name]) for each in known]
    return "\n".join([*lines, *rows("ROWS", "tuple[Row, ...]", literals)]) + "\n"
