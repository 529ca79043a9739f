"""The context table: fields lie inside their structures, and well-known ones are where include/uapi/linux/bpf.h puts them."""

from __future__ import annotations

import pytest

from purebpf.tables.contexts import Context, ContextKind, FieldKind, context
from purebpf.tables.enums import AttachType, ProgramType

TYPES = [type for type in ProgramType if type not in (ProgramType.UNSPEC, ProgramType.EXT)]


def known(type: ProgramType) -> Context:
    found = context(type)
    assert found is not None
    return found


@pytest.mark.parametrize("type", TYPES, ids=lambda type: type.name)
def test_shape_holds(type: ProgramType) -> None:
    found = known(type)
    structured = found.kind is ContextKind.STRUCT or "args" in found.fields
    assert bool(found.fields) == structured
    for name, field in found.fields.items():
        assert field.name == name
        assert field.offset >= 0 and field.offset + field.declared <= found.size
        assert field.size <= field.declared
        assert field.readable or field.writable
        assert field.kind is FieldKind.SCALAR or field.readable
        width = field.size // max(field.count, 1)
        assert width in (1, 2, 4, 8)
        if field.kind is FieldKind.SCALAR and field.readable:
            assert width in field.read_sizes, "the value's own width can be read"
        assert field.kind is not FieldKind.BTF or field.pointee


def test_types_without_own_context_have_none() -> None:
    assert context(ProgramType.EXT) is None and context(ProgramType.UNSPEC) is None


def test_xdp_md() -> None:
    found = known(ProgramType.XDP)
    assert (found.struct, found.size) == ("xdp_md", 24)
    assert {name: (field.offset, field.kind.value) for name, field in found.fields.items()} == {
        "data": (0, "packet"),
        "data_end": (4, "packet_end"),
        "data_meta": (8, "packet_meta"),
        "ingress_ifindex": (12, "scalar"),
        "rx_queue_index": (16, "scalar"),
        "egress_ifindex": (20, "scalar"),
    }
    assert found.fields["egress_ifindex"].read_attach == {AttachType.XDP_DEVMAP}
    assert not any(field.writable for field in found.fields.values())


def test_tc_reads_the_packet_and_writes_the_mark_but_a_socket_filter_does_not() -> None:
    tc, filter = known(ProgramType.SCHED_CLS), known(ProgramType.SOCKET_FILTER)
    assert tc.struct == filter.struct == "__sk_buff"
    assert tc.fields["mark"].writable and not filter.fields["mark"].writable
    assert tc.fields["data"].kind is FieldKind.PACKET and "data" not in filter.fields
    assert (tc.fields["cb"].count, tc.fields["cb"].size, tc.fields["cb"].offset) == (5, 20, 48)
    assert tc.fields["sk"].kind is FieldKind.SOCKET and tc.fields["sk"].nullable


def test_network_order_fields_say_how_many_bytes_carry_the_value() -> None:
    protocol = known(ProgramType.SCHED_CLS).fields["protocol"]
    assert protocol.big_endian and (protocol.size, protocol.declared, protocol.offset) == (2, 4, 16)
    address = known(ProgramType.CGROUP_SOCK_ADDR).fields["user_ip6"]
    assert address.big_endian and (address.size, address.count) == (16, 4)
    assert not known(ProgramType.SK_LOOKUP).fields["local_port"].big_endian


def test_fields_of_address_hooks_depend_on_the_attach_type() -> None:
    fields = known(ProgramType.CGROUP_SOCK_ADDR).fields
    assert AttachType.CGROUP_INET4_CONNECT in fields["user_ip4"].read_attach
    assert AttachType.CGROUP_INET6_CONNECT not in fields["user_ip4"].read_attach
    assert not fields["family"].read_attach


def test_raw_tracepoint_arguments() -> None:
    args = known(ProgramType.RAW_TRACEPOINT).fields["args"]
    assert (args.offset, args.size, args.count, args.readable, args.writable) == (0, 96, 12, True, False)


def test_machine_dependent_contexts_say_for_which_machine() -> None:
    assert {type.name for type in TYPES if known(type).machine} == {"KPROBE", "PERF_EVENT"}
    assert known(ProgramType.KPROBE).fields["di"].offset == 112
    assert known(ProgramType.PERF_EVENT).fields["regs.di"].offset == 112


@pytest.mark.parametrize(
    ("type", "kind"),
    [
        (ProgramType.TRACEPOINT, ContextKind.EVENT),
        (ProgramType.TRACING, ContextKind.ARGUMENTS),
        (ProgramType.SYSCALL, ContextKind.MEMORY),
    ],
)
def test_contexts_without_fixed_fields(type: ProgramType, kind: ContextKind) -> None:
    assert known(type).kind is kind and not known(type).fields
