"""Programs that run where another program starts or ends."""

from __future__ import annotations

import errno

import pytest

import purebpf as bpf
from purebpf import s32, u32, u64
from purebpf.errors import CompileError, Error, KernelError
from purebpf.kernel.engine import KernelEngine
from purebpf.tables.enums import AttachType, LinkType, ProgramType
from purebpf.vmlinux import sk_buff, xdp_buff

sizes = bpf.Array[u64](max_entries=2)
results = bpf.Array[s32](max_entries=2)


@bpf.xdp
def decides(ctx: bpf.XdpContext) -> bpf.XdpAction:
    return bpf.XDP_DROP if len(ctx.packet) > 100 else bpf.XDP_PASS


@bpf.fentry(decides)
def before(xdp: xdp_buff) -> None:
    sizes[0] = xdp.data_end - xdp.data


@bpf.fexit(decides)
def after(ret: int) -> None:
    results[0] = ret
    sizes[1] += 1


@bpf.socket_filter
def keeps(ctx: bpf.SocketFilterContext) -> int:
    return 5


@bpf.fexit(keeps)
def kept(skb: sk_buff, ret: int) -> None:
    sizes[0], results[1] = skb.len, ret


def loaded(*programs: bpf.Program) -> bpf.Collection:
    """What the machine's policy forbids is a skip with its words."""
    try:
        return bpf.load(*programs, engine="kernel")
    except KernelError as error:
        if error.errno != errno.EPERM or getattr(error, "log", ""):
            raise
        pytest.skip(str(error))


def test_an_xdp_program_is_traced_while_others_are_attached(kernel: KernelEngine) -> None:
    with loaded(decides, before, after):
        with before.attach() as start, after.attach() as end:
            assert (start.mechanism[:6], end.mechanism[:5]) == ("fentry", "fexit")
            assert start.info.type == LinkType.TRACING
            assert decides.run(bytes(64)).value == bpf.XDP_PASS
            assert (sizes[0], results[0]) == (64, bpf.XDP_PASS)
            assert decides.run(bytes(200)).value == bpf.XDP_DROP
            assert (sizes[0], results[0], sizes[1]) == (200, bpf.XDP_DROP, 2)
        decides.run(bytes(300))
        assert (sizes[0], sizes[1]) == (200, 2)


def test_the_traced_program_is_loaded_with_it(kernel: KernelEngine) -> None:
    with loaded(kept), kept.attach():
        keeps.run(bytes(90))
        assert results[1] == 5
        assert sizes[0] >= 76  # without the addresses of the link


def test_the_spec() -> None:
    program = after.compiled().program
    assert (program.type, program.section, program.attach_to) == (ProgramType.TRACING, "fexit/decides", "decides")
    assert program.attach_type == AttachType.TRACE_FEXIT


def test_what_is_refused() -> None:
    @bpf.fentry(decides)
    def early(xdp: xdp_buff, ret: int) -> None:
        sizes[0] = ret

    with pytest.raises(CompileError, match="`decides` has no result yet"):
        early.compiled()

    @bpf.fexit(decides)
    def mistaken(skb: sk_buff) -> None:
        sizes[0] = skb.len

    with pytest.raises(CompileError, match="this is the kernel's `xdp_buff`, not a `sk_buff`"):
        mistaken.compiled()

    @bpf.fexit(decides)
    def two(xdp: xdp_buff, more: u32) -> None:
        sizes[0] = more

    with pytest.raises(CompileError, match="has one parameter, its context: `xdp` is that"):
        two.compiled()
    with pytest.raises(Error, match="traces something itself"):
        bpf.fentry(after)
    with pytest.raises(Error, match="cannot be sleepable"):
        bpf.fentry(decides, sleepable=True)
    with pytest.raises(Error, match="takes its hook"):
        bpf.fmod_ret(decides)  # type: ignore[arg-type]
