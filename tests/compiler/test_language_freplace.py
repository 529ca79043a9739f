"""Programs that take the place of another program's function."""

from __future__ import annotations

import errno

import pytest

import purebpf as bpf
from purebpf import u32, u64
from purebpf.errors import CompileError, Error, KernelError
from purebpf.kernel.engine import KernelEngine
from purebpf.tables.enums import LinkType, ProgramType

calls = bpf.Array[u64](max_entries=2)


@bpf.global_subprogram
def verdict(ctx: bpf.XdpContext, size: u32) -> u32:
    calls[0] += 1
    return bpf.XDP_DROP if size > 100 else bpf.XDP_PASS


@bpf.xdp
def decides(ctx: bpf.XdpContext) -> bpf.XdpAction:
    return verdict(ctx, len(ctx.packet))


@bpf.freplace(decides, "verdict")
def other(ctx: bpf.XdpContext, size: u32) -> u32:
    calls[1] += 1
    if size == 64 and ctx.packet.at(0, u32) is not None:
        return bpf.XDP_TX
    return bpf.XDP_ABORTED


@bpf.freplace(decides, "verdct")
def misnamed(ctx: bpf.XdpContext, size: u32) -> u32:
    return 0


@bpf.freplace(decides, "verdict")
def unlike(ctx: bpf.XdpContext) -> u32:
    return 0


def loaded(*programs: bpf.Program) -> bpf.Collection:
    """What the machine's policy forbids is a skip with its words."""
    try:
        return bpf.load(*programs, engine="kernel")
    except KernelError as error:
        if error.errno != errno.EPERM or getattr(error, "log", ""):
            raise
        pytest.skip(str(error))


def results() -> tuple[int, int]:
    return decides.run(bytes(64)).value, decides.run(bytes(200)).value


def test_a_function_is_replaced_while_it_is_attached(kernel: KernelEngine) -> None:
    with loaded(decides, other):
        assert results() == (bpf.XDP_PASS, bpf.XDP_DROP)
        with other.attach() as attached:
            assert attached.mechanism == "freplace link"
            assert attached.info.type == LinkType.TRACING
            assert results() == (bpf.XDP_TX, bpf.XDP_ABORTED)
        assert results() == (bpf.XDP_PASS, bpf.XDP_DROP)
        assert (calls[0], calls[1]) == (4, 2)


def test_the_program_is_loaded_with_its_replacement(kernel: KernelEngine) -> None:
    with loaded(other), other.attach():
        assert results() == (bpf.XDP_TX, bpf.XDP_ABORTED)


def test_functions_that_are_not_there_are_told(kernel: KernelEngine) -> None:
    with pytest.raises(Error, match="no function 'verdct' to replace; it has verdict"):
        bpf.load(misnamed, engine="kernel")


def test_functions_unlike_the_one_are_refused(kernel: KernelEngine) -> None:
    with pytest.raises((Error, KernelError)):
        loaded(unlike).close()


def test_the_spec() -> None:
    program = other.compiled().program
    assert (program.type, program.section, program.attach_to) == (ProgramType.EXT, "freplace/verdict", "verdict")
    assert program.functions[0].type


def test_what_is_refused() -> None:
    @bpf.freplace(decides, "verdict")
    def untyped(ctx, size):  # type: ignore[no-untyped-def]
        return 0

    with pytest.raises(CompileError, match="needs a type"):
        untyped.compiled()
    with pytest.raises(Error, match="a program and the name of a function"):
        bpf.freplace("decides", "verdict")  # type: ignore[arg-type]
