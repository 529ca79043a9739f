"""The generated tables are what the generator writes; the recorded facts are what this kernel says where it can be asked."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from purebpf.btf.running import VMLINUX, kernel_btf
from purebpf.tables import constants, enums
from purebpf.tables.enums import ProgramType
from purebpf.tables.generate import attr, contexts, helpers, kfuncs, measured, since
from purebpf.tables.generate import constants as constants_generator
from purebpf.tables.generate import enums as enums_generator
from purebpf.tables.generate.__main__ import HEADERS, HERE, libc
from purebpf.tables.generate.kernel import EXIT, Kernel, Target, call
from purebpf.tables.generate.kernelbtf import KernelBtf
from purebpf.tables.since import parse

RELEASE = os.uname().release.partition("-")[0].partition("+")[0]
NEWEST = measured.records()[0]
OTHER_KERNEL = pytest.mark.skipif(
    NEWEST.stem != f"measured-{RELEASE}" or os.uname().machine not in NEWEST.read_text().partition("\n")[0],
    reason=f"this is Linux {RELEASE} on {os.uname().machine}; the facts were measured as {NEWEST.name} says, on x86_64",
)
needs_btf = pytest.mark.skipif(not VMLINUX.exists(), reason=f"this kernel offers no BTF at {VMLINUX}")


@pytest.mark.parametrize(
    ("table", "render"),
    [
        ("helper_rows", helpers.render),
        ("context_rows", contexts.render),
        ("since_rows", since.render),
        ("kfunc_rows", kfuncs.render),
    ],
)
def test_table_is_what_the_generator_makes_of_the_facts(table: str, render: object) -> None:
    assert callable(render)
    assert (HERE / f"{table}.py").read_text() == render()


@needs_btf
@OTHER_KERNEL
def test_enums_are_those_of_this_kernel() -> None:
    assert (HERE / "enums.py").read_text() == enums_generator.render(KernelBtf())


@needs_btf
@OTHER_KERNEL
def test_layouts_are_those_of_this_kernel() -> None:
    assert (HERE / "attr.py").read_text() == attr.render(kernel_btf())


@needs_btf
@pytest.mark.parametrize(("name", "kernel_name", "prefix"), [each[:3] for each in enums_generator.CLASSES])
def test_enum_agrees_with_any_kernel_on_the_names_both_have(name: str, kernel_name: str, prefix: str) -> None:
    ours = {member: int(value) for member, value in getattr(enums, name).__members__.items()}
    theirs = dict(enums_generator.members(KernelBtf(), kernel_name, prefix))
    common = ours.keys() & theirs.keys()
    assert len(common) >= 5
    assert {key: ours[key] for key in common} == {key: theirs[key] for key in common}


@needs_btf
def test_constants_agree_with_this_kernels_btf() -> None:
    btf = KernelBtf()
    for enum in ("bpf_prog_type", "bpf_map_type", "bpf_attach_type", "xdp_action", "bpf_func_id", "perf_type_id"):
        pairs = [(name, value) for name, value in btf.enums[enum] if not name.startswith("__")]
        known = {name: constants.constant(name) for name, _value in pairs}
        different = {name for name, value in pairs if known[name] not in (None, value)}
        assert not different, f"{enum}: {different}"
        assert sum(value is not None for value in known.values()) >= 5


def test_constants_are_those_of_the_headers_they_name() -> None:
    text = (HERE / "constant_rows.py").read_text()
    wanted = re.search(r"headers of Linux ([\d.]+)", text)
    assert wanted is not None
    headers = Path(os.environ.get("PUREBPF_HEADERS", HEADERS))
    if not (headers / "linux/version.h").exists() or constants_generator.version(headers) != wanted[1]:
        pytest.skip(f"the table was made from the headers of Linux {wanted[1]}; name their directory in PUREBPF_HEADERS")
    if not VMLINUX.exists() or NEWEST.stem != f"measured-{RELEASE}":
        pytest.skip(f"the table was made with the BTF of {NEWEST.stem.removeprefix('measured-')}, this is {RELEASE}")
    assert text == constants_generator.render(headers, libc(), KernelBtf())


@pytest.mark.kernel
@OTHER_KERNEL
def test_helper_facts_are_what_this_kernels_verifier_says() -> None:
    assert NEWEST.read_text() == measured.measure(helpers.read_prototypes())


@pytest.mark.kernel
@OTHER_KERNEL
def test_context_facts_are_what_this_kernels_verifier_says() -> None:
    assert (measured.FACTS / "contexts.tsv").read_text() == contexts.measure()


@pytest.mark.kernel
@needs_btf
def test_this_kernel_knows_exactly_the_helpers_of_its_version_in_socket_filters() -> None:
    kernel = Kernel(KernelBtf())
    versions = helpers.versions("helper")
    for prototype in helpers.read_prototypes():
        reason = kernel.load(Target(ProgramType.SOCKET_FILTER), call(prototype.id) + EXIT).reason
        if parse(versions[prototype.name]) > parse(os.uname().release):
            assert reason.startswith(("invalid func", "unknown func", "program of this type cannot use helper")), prototype.name
        else:
            assert not reason.startswith("invalid func"), prototype.name


def test_records_name_every_helper_once_and_merge_to_more_than_each() -> None:
    names = [prototype.name for prototype in helpers.read_prototypes()]
    records = [measured.read(path) for path in measured.records()]
    merged = measured.merge(records)
    for record in records:
        assert list(record) == names
        for name, each in record.items():
            assert each.allowed.keys() <= merged[name].allowed.keys()
    assert [name for name in names if not merged[name].allowed] == [
        "override_return",
        "rc_repeat",
        "rc_keydown",
        "rc_pointer_rel",
    ]
