"""Program types of the network: their sections are libbpf's, and every hook that libbpf knows has a decorator."""

from __future__ import annotations

import pytest

import purebpf as bpf
from purebpf.errors import Error
from purebpf.lang import network_contexts
from purebpf.lang.network_types import HOOKS, NETWORK_KINDS, all_kinds, fragmented, hooked
from purebpf.lang.program_types import KINDS, ProgramKind
from purebpf.tables.enums import ProgramType
from purebpf.tables.sections import find_section, sections

VARIANTS: dict[str, ProgramKind] = {
    **{kind.decorator: kind for kind in NETWORK_KINDS if kind.decorator not in HOOKS or kind.decorator == "sk_reuseport"},
    **{f"{name} {hook}": hooked(all_kinds()[name], hook) for name, hooks in HOOKS.items() for hook in hooks},
    "xdp with fragments": fragmented(KINDS["xdp"]),
    "xdp devmap with fragments": fragmented(hooked(KINDS["xdp"], "devmap")),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_sections_are_those_of_libbpf(name: str) -> None:
    kind = VARIANTS[name]
    found = find_section(kind.section)
    assert found is not None and found[1] == ""
    assert (found[0].type, found[0].flags) == (kind.type, kind.flags)
    assert kind.attach is None or found[0].attach == kind.attach


def test_every_section_of_these_types_has_a_decorator() -> None:
    ours = {kind.type for kind in NETWORK_KINDS} | {ProgramType.XDP}
    known = {(found.type, found.attach) for found in sections().values() if found.type in ours}
    made = {(kind.type, kind.attach) for kind in VARIANTS.values()} | {(ProgramType.XDP, KINDS["xdp"].attach)}
    without = {(type.name, attach and attach.name) for type, attach in known - made}
    assert without == {("XDP", "XDP"), ("CGROUP_SKB", None), ("SK_SKB", None)}  # which leave the hook to attaching


def test_every_type_has_a_context_and_a_public_decorator() -> None:
    for kind in NETWORK_KINDS:
        assert getattr(network_contexts, kind.context) is getattr(bpf, kind.context)
        assert kind.decorator in bpf.__all__
        assert getattr(bpf, kind.decorator) is not None


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: bpf.cgroup_skb("sideways"), "@bpf.cgroup_skb has no hook 'sideways'.*ingress, egress"),
        (lambda: bpf.cgroup_sock_addr("accept4"), "has no hook 'accept4'"),
        (lambda: bpf.xdp("eth0"), "takes no argument, or one of 'devmap', 'cpumap'"),  # type: ignore[call-overload]
        (lambda: bpf.sk_msg("x"), "@bpf.sk_msg takes no argument"),  # type: ignore[arg-type]
        (lambda: bpf.sk_skb(), "missing a required argument"),  # type: ignore[call-arg]
    ],
)
def test_wrong_hooks_list_the_right_ones(make: object, said: str) -> None:
    with pytest.raises(Error, match=f"(?s){said}"):
        make()  # type: ignore[operator]
