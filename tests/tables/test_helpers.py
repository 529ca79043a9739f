"""The helper table: its shape holds for all 211, and well-known helpers are as the kernel's documentation says."""

from __future__ import annotations

import pytest

from purebpf.tables.enums import AttachType, MapType, ProgramType
from purebpf.tables.helpers import HELPER_NAMES, Arg, ArgKind, Helper, ResultKind, helper, helper_by_id

EVERY = [found for number in range(1, len(HELPER_NAMES) + 1) if (found := helper_by_id(number))]


def known(name: str) -> Helper:
    found = helper(name)
    assert found is not None
    return found


def test_there_are_211_helpers_numbered_without_gap() -> None:
    assert [each.id for each in EVERY] == list(range(1, 212))
    assert tuple(each.name for each in EVERY) == HELPER_NAMES


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("map_lookup_elem", 1),
        ("ktime_get_ns", 5),
        ("tail_call", 12),
        ("redirect_map", 51),
        ("loop", 181),
        ("cgrp_storage_delete", 211),
    ],
)
def test_number_of_helper(name: str, number: int) -> None:
    assert known(name).id == number
    assert helper(f"bpf_{name}") == known(name) == helper_by_id(number)


@pytest.mark.parametrize("name", ["", "bpf_", "no_such_helper", "KTIME_GET_NS", "unspec"])
def test_unknown_name_gives_none(name: str) -> None:
    assert helper(name) is None


@pytest.mark.parametrize("number", [-1, 0, 212, 1 << 31])
def test_unknown_number_gives_none(number: int) -> None:
    assert helper_by_id(number) is None


@pytest.mark.parametrize("each", EVERY, ids=lambda each: each.name)
def test_shape_holds(each: Helper) -> None:
    assert len(each.args) <= 5
    assert each.since and each.about.endswith(".")
    assert each.programs, "a helper that no program type may call"
    assert each.assumed <= each.programs
    assert ProgramType.UNSPEC not in each.programs and ProgramType.EXT not in each.programs
    assert each.attach_types.keys() <= each.programs and all(each.attach_types.values())
    assert bool(each.maps) == any(arg.kind is ArgKind.MAP for arg in each.args)
    for position, arg in enumerate(each.args):
        check_argument(each, position, arg)


def check_argument(each: Helper, position: int, arg: Arg) -> None:
    assert arg.width in (8, 16, 32, 64)
    pointer = arg.c_type.endswith("*")
    assert pointer == (arg.kind not in (ArgKind.SCALAR, ArgKind.SIZE)) or arg.kind is ArgKind.ADDRESS
    if arg.kind is ArgKind.MEM:
        assert (arg.pair is None) != (arg.size is None), "memory has its size from an argument or a fixed one"
        assert arg.reads or arg.writes
    if arg.kind is ArgKind.MAP_VALUE:
        assert arg.reads or arg.writes
    if arg.kind is ArgKind.SIZE:
        assert arg.pair is not None and each.args[arg.pair].kind is ArgKind.MEM and each.args[arg.pair].pair == position
    if arg.kind in (ArgKind.MAP_KEY, ArgKind.MAP_VALUE):
        assert any(other.kind is ArgKind.MAP for other in each.args[:position])
    if arg.kind is ArgKind.BTF:
        assert arg.pointee


def test_results_that_are_pointers_say_what_to() -> None:
    for each in EVERY:
        result = each.result
        if result.kind in (ResultKind.SOCKET, ResultKind.BTF):
            assert result.pointee, each.name
        if result.kind is ResultKind.MEM:
            assert result.pair is not None and each.args[result.pair].constant, each.name
        if result.kind is ResultKind.MAP_VALUE:
            assert each.args[0].kind is ArgKind.MAP, each.name


def test_map_lookup_takes_map_and_key_and_gives_a_value_or_null() -> None:
    found = known("map_lookup_elem")
    assert [arg.kind for arg in found.args] == [ArgKind.MAP, ArgKind.MAP_KEY]
    assert found.result.kind is ResultKind.MAP_VALUE and found.result.nullable
    assert {MapType.HASH, MapType.ARRAY, MapType.LRU_HASH, MapType.PERCPU_ARRAY} <= found.maps
    assert not found.maps & {MapType.PROG_ARRAY, MapType.PERF_EVENT_ARRAY, MapType.RINGBUF, MapType.QUEUE}


def test_perf_event_output_is_gpl_only_and_takes_context_map_flags_and_data() -> None:
    found = known("perf_event_output")
    assert found.gpl_only
    assert [arg.kind for arg in found.args] == [ArgKind.CONTEXT, ArgKind.MAP, ArgKind.SCALAR, ArgKind.MEM, ArgKind.SIZE]
    assert found.args[3].pair == 4 and found.args[3].reads and not found.args[3].writes
    assert found.maps == {MapType.PERF_EVENT_ARRAY}
    assert {ProgramType.XDP, ProgramType.TRACEPOINT, ProgramType.SCHED_CLS} <= found.programs


def test_trace_printk_is_variadic_and_the_only_one() -> None:
    assert [each.name for each in EVERY if each.variadic] == ["trace_printk"]
    assert len(known("trace_printk").args) == 2


def test_reading_helpers_write_their_destination_and_take_any_address() -> None:
    for name in ("probe_read_user", "probe_read_kernel", "probe_read_user_str", "probe_read_kernel_str", "copy_from_user"):
        destination, size, source = known(name).args
        assert destination.writes and not destination.reads and destination.pair == 1
        assert size.kind is ArgKind.SIZE and size.width == 32 and size.zero
        assert source.kind is ArgKind.ADDRESS


@pytest.mark.parametrize("name", ["get_current_pid_tgid", "ktime_get_ns", "get_prandom_u32", "get_smp_processor_id"])
def test_helper_of_every_program_type(name: str) -> None:
    every = set(ProgramType) - {ProgramType.UNSPEC, ProgramType.EXT, ProgramType.LIRC_MODE2}
    assert known(name).programs >= every and not known(name).args and not known(name).gpl_only


@pytest.mark.parametrize(
    ("name", "program"),
    [("xdp_adjust_head", ProgramType.XDP), ("skb_vlan_push", ProgramType.SCHED_CLS), ("sk_assign", ProgramType.SK_LOOKUP)],
)
def test_helper_of_its_program_type_is_not_for_tracepoints(name: str, program: ProgramType) -> None:
    assert program in known(name).programs and ProgramType.TRACEPOINT not in known(name).programs


def test_gpl_only_helpers_are_those_that_look_into_the_kernel() -> None:
    assert all(known(name).gpl_only for name in ("probe_read_kernel", "get_current_task", "trace_printk", "get_stackid"))
    assert not any(known(name).gpl_only for name in ("map_update_elem", "redirect", "ringbuf_output", "get_current_comm"))


def test_attach_types_limit_helpers_of_address_hooks() -> None:
    only = {ProgramType.CGROUP_SOCK_ADDR: frozenset({AttachType.CGROUP_INET4_CONNECT, AttachType.CGROUP_INET6_CONNECT})}
    assert known("bind").attach_types == only


def test_packet_pointers_are_void_after_helpers_that_may_move_the_packet() -> None:
    moving = {each.name for each in EVERY if each.invalidates_packet}
    assert {
        "xdp_adjust_head",
        "xdp_adjust_tail",
        "skb_pull_data",
        "skb_store_bytes",
        "skb_vlan_push",
        "msg_pull_data",
    } <= moving
    assert not moving & {"map_lookup_elem", "redirect", "skb_load_bytes", "csum_diff", "fib_lookup", "perf_event_output"}


def test_ring_buffer_records_are_acquired_and_released() -> None:
    reserve = known("ringbuf_reserve")
    assert reserve.result.kind is ResultKind.MEM and reserve.result.nullable and reserve.result.acquires
    assert reserve.args[1].constant
    for name in ("ringbuf_submit", "ringbuf_discard"):
        assert known(name).args[0].kind is ArgKind.RECORD and known(name).args[0].releases
        assert known(name).result.kind is ResultKind.VOID


def test_sleeping_helpers_are_marked() -> None:
    assert {each.name for each in EVERY if each.sleeps} == {
        "copy_from_user",
        "copy_from_user_task",
        "ima_inode_hash",
        "ima_file_hash",
    }


def test_scalar_arguments_have_width_and_sign_of_their_c_type() -> None:
    key, flags = known("redirect_map").args[1:]
    assert (key.width, key.signed, flags.width) == (64, False, 64)
    delta = known("xdp_adjust_head").args[1]
    assert (delta.width, delta.signed) == (32, True)
    assert known("get_prandom_u32").result.width == 32 and known("redirect").result.signed
