"""The verifier's laws that the compiler relies on hold in the running kernel."""

from __future__ import annotations

from itertools import pairwise

import pytest

from purebpf.errors import VerifierError
from purebpf.isa.assembler import parse
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.spec import ProgramSpec
from purebpf.tables.enums import ProgramType
from tests.kernel.laws.laws import ACCEPT, LAWS, MEASURED, REJECT, TABLE, Law, Version


def verdict(law: Law, kernel: KernelEngine) -> str:
    """What the running kernel says; a rejection must be the verifier's."""
    spec = ProgramSpec(law.name[:15], ProgramType.XDP, parse(law.text, law.name))
    with kernel.create_map(TABLE) as table:
        try:
            kernel.load_program(spec, {"table": table}).close()
        except VerifierError:
            return REJECT
    return ACCEPT


def expected(law: Law, version: Version) -> str | None:
    """The verdict as measured; between two measured kernels that differ, None."""
    verdicts = {measured: law.other.get(measured, law.verdict) for measured in MEASURED}
    if version in verdicts:
        return verdicts[version]
    for older, newer in pairwise(MEASURED):
        if older < version < newer:
            return verdicts[older] if verdicts[older] == verdicts[newer] else None
    return verdicts[MEASURED[-1] if version > MEASURED[-1] else MEASURED[0]]


@pytest.mark.parametrize("law", LAWS, ids=[law.name for law in LAWS])
def test_law(law: Law, kernel: KernelEngine) -> None:
    wanted = expected(law, kernel_version())
    if wanted is None:
        pytest.skip("kernels before and after this one differ; this one was not measured")
    assert verdict(law, kernel) == wanted


def test_laws_have_their_own_names() -> None:
    assert len({law.name for law in LAWS}) == len(LAWS)


def test_between_measured_kernels_only_what_both_say_is_expected() -> None:
    law = Law("law", REJECT, "", {(6, 12): ACCEPT, (6, 18): ACCEPT, (7, 3): ACCEPT})
    assert expected(law, (5, 15)) == REJECT
    assert expected(law, (6, 6)) is None
    assert expected(law, (6, 15)) == expected(law, (8, 0)) == ACCEPT
    assert expected(law, (5, 4)) == REJECT
