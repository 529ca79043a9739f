"""Programs: loaded, run on packets and contexts, rejected in words."""

from __future__ import annotations

import errno
import os

import pytest

from purebpf.data import replace
from purebpf.engine import EngineMap
from purebpf.errors import Error, KernelError, NotLoaded, Unsupported, VerifierError
from purebpf.isa.asm import (
    DW,
    FP,
    R0,
    R1,
    R2,
    Add,
    Atomic,
    Call,
    Exit,
    JEq,
    Label,
    LoadMapPtr,
    LoadMapValue,
    LoadMem,
    Mov,
    StoreImm,
    StoreMem,
    W,
    assemble,
)
from purebpf.isa.instruction import Instruction
from purebpf.kernel import verifier
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.verifier import count_verified
from purebpf.spec import MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType
from tests.kernel.netns import frame
from tests.kernel.programs import (
    COUNTS,
    MAP_LOOKUP,
    any_event_counter,
    integer,
    needs,
    own_pid,
    returning,
    tail_caller,
    u32,
    u64,
    xdp_counter,
)

pytestmark = pytest.mark.kernel


def test_run_on_a_packet_gives_result_and_packet(kernel: KernelEngine) -> None:
    with kernel.create_map(COUNTS) as counts, kernel.load_program(xdp_counter(), {"counts": counts}) as program:
        result = program.run(data=frame())
        assert (result.value, result.data) == (2, frame())
        program.run(data=bytes(60))
        assert integer(counts.lookup(u32(0))) == 1  # the second frame has another ethertype


def test_repeat_runs_it_that_often(kernel: KernelEngine) -> None:
    with kernel.create_map(COUNTS) as counts, kernel.load_program(xdp_counter(), {"counts": counts}) as program:
        program.run(data=frame(), repeat=250)
        assert integer(counts.lookup(u32(0))) == 250


def test_program_may_make_its_packet_longer(kernel: KernelEngine) -> None:
    adjust_head, adjust_tail = 44, 65
    longer = (Mov.reg(6, R1), Mov.imm(R2, -200), Call.helper(adjust_head), Mov.reg(R1, 6), Mov.imm(R2, 100))
    spec = ProgramSpec("longer", ProgramType.XDP, (*longer, Call.helper(adjust_tail), Mov.imm(R0, 2), Exit()))
    with kernel.load_program(spec, {}) as program:
        result = program.run(data=frame())
        assert (result.value, len(result.data)) == (2, 60 + 200 + 100)
        assert result.data[200:260] == frame()


def test_run_without_data_gets_an_empty_ethernet_header(kernel: KernelEngine) -> None:
    with kernel.load_program(returning(7), {}) as program:
        assert program.run().data == bytes(14)


def test_too_short_a_packet_is_refused_in_words(kernel: KernelEngine) -> None:
    with (
        kernel.load_program(returning(7), {}) as program,
        pytest.raises(Error, match="has 13 bytes; the kernel wants a frame of at least 14"),
    ):
        program.run(data=bytes(13))


def test_context_goes_in_and_comes_back(kernel: KernelEngine) -> None:
    mark = 8  # struct __sk_buff: len, pkt_type, mark
    code = (LoadMem(R0, R1, mark, W), Mov.imm(R2, 99), StoreMem(R1, mark, R2, W), Exit())
    with kernel.load_program(ProgramSpec("marks", ProgramType.SCHED_CLS, code), {}) as program:
        context = bytearray(64)
        context[mark : mark + 4] = u32(41)
        result = program.run(data=frame(), context=bytes(context))
        assert result.value == 41
        assert integer(result.context[mark : mark + 4]) == 99


def test_result_is_unsigned(kernel: KernelEngine) -> None:
    with kernel.load_program(returning(-1, ProgramType.SOCKET_FILTER), {}) as program:
        assert program.run(data=frame()).value == 0xFFFF_FFFF


def test_raw_tracepoint_runs_in_this_process_and_takes_only_a_context(kernel: KernelEngine) -> None:
    with kernel.load_program(own_pid(), {}) as program:
        assert program.run(context=bytes(16)).value == os.getpid()
        with pytest.raises(Unsupported, match="takes only `context`"):
            program.run(data=frame())
        with pytest.raises(Unsupported, match="once per test run; repeat=3"):
            program.run(context=bytes(16), repeat=3)


@pytest.mark.parametrize("type", [ProgramType.TRACEPOINT, ProgramType.PERF_EVENT])
def test_type_without_test_run_is_unsupported_with_the_reason(kernel: KernelEngine, type: ProgramType) -> None:
    with (
        kernel.load_program(returning(0, type), {}) as program,
        pytest.raises(Unsupported, match=f"no test run for {type.name.lower()} programs"),
    ):
        program.run(context=bytes(64))


def test_tail_call_goes_on_in_the_program_array(kernel: KernelEngine) -> None:
    with (
        kernel.create_map(MapSpec("targets", MapType.PROG_ARRAY, 4, 4, 4)) as targets,
        kernel.load_program(tail_caller(1, otherwise=5), {"targets": targets}) as caller,
        kernel.load_program(returning(77), {}) as target,
    ):
        assert caller.run(data=frame()).value == 5
        targets.update(u32(1), u32(target.handle))
        assert caller.run(data=frame()).value == 77


def test_map_value_is_reached_at_its_offset(kernel: KernelEngine) -> None:
    data = MapSpec("data", MapType.ARRAY, 4, 16, 1, contents=((u32(0), u64(0) + u64(1234)),))
    code = (LoadMapValue(R1, "data", 8), LoadMem(R0, R1, 0, W), Exit())
    with (
        kernel.create_map(data) as map,
        kernel.load_program(ProgramSpec("reads", ProgramType.XDP, code), {"data": map}) as program,
    ):
        assert program.run(data=frame()).value == 1234


def test_info_tells_what_the_kernel_made_of_it(kernel: KernelEngine) -> None:
    with kernel.create_map(COUNTS) as counts, kernel.load_program(xdp_counter(), {"counts": counts}) as program:
        info = program.info
        assert (info.name, info.type, info.map_count, info.gpl_compatible) == ("frame_counter", ProgramType.XDP, 1, True)
        assert info.id > 0
        assert len(bytes.fromhex(info.tag)) == 8
        assert info.xlated_size >= 8 * xdp_counter().slots


@needs((5, 16), "the count of verified instructions")
def test_count_of_verified_instructions_needs_no_log(kernel: KernelEngine) -> None:
    with kernel.load_program(returning(3), {}) as program:
        assert program.verified_instructions == 2


def test_log_of_a_success_is_kept_when_asked_for(kernel: KernelEngine) -> None:
    with kernel.load_program(returning(3), {}) as silent:
        assert silent.log == ""
    with kernel.load_program(returning(3), {}, log_level=2) as program:
        assert "(b7) r0 = 3" in program.log
        assert count_verified(program.log) == 2 == program.verified_instructions


def test_rejected_program_has_the_whole_log(kernel: KernelEngine) -> None:
    with pytest.raises(VerifierError, match=r"rejected the program 'bad' \(xdp\)(.|\n)*R0 !read_ok") as rejected:
        kernel.load_program(ProgramSpec("bad", ProgramType.XDP, (Exit(),)), {})
    assert rejected.value.errno == errno.EACCES
    assert "R0 !read_ok" in rejected.value.log
    assert "processed" in rejected.value.log


def test_log_larger_than_the_first_buffer_is_complete(kernel: KernelEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "FIRST_LOG", 256)
    code = (*(Mov.imm(n % 6 + 1, n) for n in range(400)), Exit())
    with pytest.raises(VerifierError) as rejected:
        kernel.load_program(ProgramSpec("long", ProgramType.XDP, code), {})
    assert len(rejected.value.log) > 4000
    assert "0: (b7) r1 = 0" in rejected.value.log
    assert rejected.value.log.rstrip().splitlines()[-1].startswith("processed")
    assert "lines before)" in str(rejected.value)


def test_missing_null_check_is_told_by_the_verifier(kernel: KernelEngine) -> None:
    code = (
        StoreImm(FP, -4, 0, W), Mov.reg(R2, FP), Add.imm(R2, -4), LoadMapPtr(R1, "counts"), Call.helper(MAP_LOOKUP),
        LoadMem(R0, R0, 0, W), Exit(),
    )  # fmt: skip
    with (
        kernel.create_map(replace(COUNTS, type=MapType.HASH)) as counts,  # of an array it knows that key 0 is there
        pytest.raises(VerifierError, match="map_value_or_null"),
    ):
        kernel.load_program(ProgramSpec("careless", ProgramType.XDP, code), {"counts": counts})


def test_map_that_was_not_given_is_named(kernel: KernelEngine) -> None:
    with pytest.raises(Error, match=r"uses the map 'counts', which was not given to load it with\. Given: none"):
        kernel.load_program(xdp_counter(), {})


def test_map_of_another_engine_is_refused(kernel: KernelEngine) -> None:
    class Elsewhere:
        spec = COUNTS

        def lookup(self, key: bytes) -> bytes | None:
            return None

        def update(self, key: bytes, value: bytes, flags: int = 0) -> None: ...

        def delete(self, key: bytes) -> bool:
            return False

        def next_key(self, key: bytes | None) -> bytes | None:
            return None

        def close(self) -> None: ...

    maps: dict[str, EngineMap] = {"counts": Elsewhere()}
    with pytest.raises(Error, match="does not belong to the kernel but to Elsewhere"):
        kernel.load_program(xdp_counter(), maps)


def test_unknown_license_keeps_gpl_helpers_out(kernel: KernelEngine) -> None:
    code = (Mov.reg(R1, FP), Add.imm(R1, -8), StoreImm(FP, -8, 0, W), Mov.imm(R2, 4), Call.helper(6), Mov.imm(R0, 0), Exit())
    spec = ProgramSpec("prints", ProgramType.XDP, code, license="Proprietary")
    with pytest.raises(VerifierError, match="GPL"):
        kernel.load_program(spec, {})
    kernel.load_program(replace(spec, license="GPL"), {}).close()


def test_program_that_the_request_makes_impossible_is_a_kernel_error(kernel: KernelEngine) -> None:
    with pytest.raises(KernelError, match=r"Loading the program 'returning' \(xdp\) failed: .*EINVAL"):
        kernel.load_program(replace(returning(0), flags=1 << 31), {})


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this kernel were Linux 4.9, in all that is asked of the version or of probes."""
    from purebpf.kernel import errors, missing, probe

    for module in (errors, missing):
        monkeypatch.setattr(module, "kernel_version", lambda: (4, 9))
    monkeypatch.setattr(probe, "_known", dict.fromkeys(probe.FEATURES, False))


def rejected(kernel: KernelEngine, *code: Instruction, requires: tuple[str, ...] = ()) -> str:
    """What the exception says of a program that this kernel lacks something for."""
    with pytest.raises(Unsupported) as refused:
        kernel.load_program(ProgramSpec("wants", ProgramType.XDP, (*code, Exit()), requires=requires), {})
    return str(refused.value)


def test_required_feature_that_is_missing_is_named(kernel: KernelEngine, old: None) -> None:
    said = rejected(kernel, requires=("may_goto",))
    assert said == "The program 'wants' needs may_goto (Linux 6.9; this is 4.9)."


def test_a_feature_that_the_verifier_does_not_see_is_asked_for_before(kernel: KernelEngine, old: None) -> None:
    said = rejected(kernel, Mov.imm(R0, 0), requires=("printk_formats",))
    assert said == "The program 'wants' needs printk_formats (Linux 5.13; this is 4.9)."


def test_an_instruction_that_the_kernel_does_not_know_is_named(kernel: KernelEngine, old: None) -> None:
    said = rejected(kernel, Atomic.add(FP, -8, R0, DW, fetch=True))
    assert (
        said
        == "The program 'wants' has the instruction `r0 = atomic64_fetch_add((u64 *)(r10 -8), r0)` (Linux 5.12; this is 4.9)."
    )


def unknown_to_this_type(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """Let the verifier say of a program that it does not know a helper, as kernels do where it is not for the type."""
    monkeypatch.setattr(
        verifier, "load", lambda fields, log_level: (-errno.EINVAL, f"0: (85) call 1\n{words}\nprocessed 1 insns")
    )


@pytest.mark.parametrize(
    "words, said",
    [
        ("unknown func bpf_get_current_comm#16", "get_current_comm, which this kernel does not give to programs of this type "),
        ("program of this type cannot use helper bpf_get_current_comm#16", "get_current_comm, which this kernel does not give"),
        ("invalid func unknown#165", "snprintf (Linux 5.13; this is 4.9)."),
    ],
)
def test_a_helper_that_only_later_kernels_have_is_named(
    kernel: KernelEngine, old: None, monkeypatch: pytest.MonkeyPatch, words: str, said: str
) -> None:
    unknown_to_this_type(monkeypatch, words)
    assert f"The program 'wants' (xdp) calls the helper {said}" in rejected(kernel)


def test_a_kernel_function_is_found_by_its_name(kernel: KernelEngine) -> None:
    code = assemble((Call.kfunc("bpf_rcu_read_lock"), Call.kfunc("bpf_rcu_read_unlock"), Mov.imm(R0, 3), Exit()))
    with kernel.load_program(ProgramSpec("calls", ProgramType.XDP, code), {}) as program:
        assert program.run(data=frame()).value == 3


def test_a_kernel_function_that_is_not_there_is_named(kernel: KernelEngine) -> None:
    code = assemble((Call.kfunc("bpf_no_such_thing"), Mov.imm(R0, 3), Exit()))
    with pytest.raises(Unsupported, match="calls the kernel function bpf_no_such_thing which this kernel does not have"):
        kernel.load_program(ProgramSpec("calls", ProgramType.XDP, code), {})


def test_a_helper_that_is_never_for_this_type_is_the_programs_fault(kernel: KernelEngine) -> None:
    probe_read = 4
    with pytest.raises(VerifierError, match=r"bpf_probe_read#4"):
        kernel.load_program(ProgramSpec("reads", ProgramType.XDP, (Call.helper(probe_read), Exit())), {})


# What Linux 7.3 says of a read without a check, from its log.
REPORT = """
Verification failed: Register Type Safety: Invalid dereference

Reason:
  R0 may be NULL here (a nullable map value pointer). The program could dereference NULL on this
  path, so the verifier cannot prove this access is safe.

At:
  insn 6
       | ^-- error: invalid dereference of R0 (a nullable map value pointer)

Causal path:
  insn 5
       | ^-- update: R0 changed

Suggestion:
  Add a NULL check before the access.
"""


@pytest.mark.parametrize("report", ["", REPORT])
def test_the_message_has_the_end_of_the_log(report: str) -> None:
    walk = "".join(f"{n}: (b7) r0 = {n}\n" for n in range(20))
    lines = verifier.tail(f"{walk}R0 invalid mem access\n{report}\nprocessed 6 insns (limit 1000000)\n").splitlines()
    assert lines[0].strip() == "(9 lines before)"
    assert lines[1:13] == [*(f"    {n}: (b7) r0 = {n}" for n in range(9, 20)), "    R0 invalid mem access"]
    shown = ("Verification failed:", "Reason:", "R0 may be NULL", "path, so", "Suggestion:", "Add a NULL check")
    assert (
        [line.strip().startswith(words) for line, words in zip(lines[13:], shown, strict=True)] == [True] * 6
        if report
        else not lines[13:]
    )


def test_closed_program_says_so(kernel: KernelEngine) -> None:
    program = kernel.load_program(returning(0), {})
    program.close()
    program.close()
    with pytest.raises(NotLoaded, match="the program 'returning'"):
        program.run()
    with pytest.raises(NotLoaded):
        _ = program.handle


def test_map_lives_as_long_as_a_program_uses_it(kernel: KernelEngine) -> None:
    counts = kernel.create_map(COUNTS)
    with kernel.load_program(any_event_counter(ProgramType.XDP), {"counts": counts}) as program:
        counts.close()
        assert program.run(data=frame()).value == 0


def test_branches_resolve_as_assembled(kernel: KernelEngine) -> None:
    code = assemble((LoadMem(R0, R1, 16, W), JEq.imm(R0, 0, "zero"), Mov.imm(R0, 9), Label("zero"), Exit()))
    with kernel.load_program(ProgramSpec("rx_queue", ProgramType.XDP, code), {}) as program:
        assert program.run(data=frame()).value == 0
