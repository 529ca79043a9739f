"""Kernel functions of modules: found in the module's BTF, called through an array of descriptors (Linux 5.16).

Conntrack is a module in Debian's kernels; a guest takes it from the files that its kernel came with. No other kernel is given
a module here.
"""

from __future__ import annotations

import ctypes
import lzma
import os
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import s32, u8, u16, u32
from purebpf.btf.running import kernel_btf, module_btf, modules
from purebpf.btf.types import Kind
from purebpf.errors import Error
from tests.kernel.programs import needs

FUNCTION = "bpf_xdp_ct_lookup"
CACHE = Path.home() / ".cache/purebpf/kernels"
NEEDED = (  # in order
    "lib/libcrc32c",
    "net/ipv4/netfilter/nf_defrag_ipv4",
    "net/ipv6/netfilter/nf_defrag_ipv6",
    "net/netfilter/nf_conntrack",
)
INIT_MODULE = {"x86_64": 175, "aarch64": 105}


def has_function() -> bool:
    """Whether a loaded module has it."""
    for name in modules():
        try:
            if module_btf(name).types_named(FUNCTION, Kind.FUNC):
                return True
        except Error:
            continue
    return False


def load_module(path: Path) -> None:
    """Nothing happens where it is there already, or does not fit."""
    image = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    number = INIT_MODULE.get(os.uname().machine)
    if number is not None:
        ctypes.CDLL(None, use_errno=True).syscall(number, image, ctypes.c_ulong(len(image)), b"")


@pytest.fixture(scope="module")
def conntrack() -> None:
    release = os.uname().release
    folders = [CACHE / release / root / "lib/modules" / release / "kernel" for root in ("usr", ".")]
    for name in NEEDED if not has_function() else ():
        for path in (path for folder in folders for path in (folder / name).parent.glob(f"{Path(name).name}.ko*")):
            load_module(path)
    if not has_function():
        built_in = bool(kernel_btf().types_named(FUNCTION, Kind.FUNC))
        pytest.skip(f"{FUNCTION} is {'built into this kernel' if built_in else 'in no module that is loaded'}")


@bpf.struct
class Options:
    netns: s32 = -1
    error: s32 = 0
    protocol: u8 = 0
    dir: u8 = 0
    reserved: u16 = 0


@bpf.struct
class Flow:
    saddr: u32
    daddr: u32
    sport: u16
    dport: u16


@pytest.mark.kernel
@pytest.mark.usefixtures("conntrack")
def test_a_function_of_a_module() -> None:
    @bpf.xdp
    def program(ctx: bpf.XdpContext) -> int:
        options, flow = Options(protocol=6), Flow(saddr=1, daddr=2, sport=3, dport=4)
        connection = bpf.kfuncs.bpf_xdp_ct_lookup(ctx, flow, options)
        if connection is not None:
            status = connection.status
            bpf.kfuncs.bpf_ct_release(connection)
            return 100 + (status & 1)
        return -options.error

    with program.load("kernel"):
        assert program.run(packet=bytes(64)).value == 2  # ENOENT


@pytest.mark.kernel
@pytest.mark.usefixtures("conntrack")
@needs((6, 2), "a function of the kernel itself for XDP programs")
def test_functions_of_the_kernel_beside_it() -> None:
    @bpf.xdp
    def program(ctx: bpf.XdpContext) -> int:
        n = 0
        if bpf.kfunc_exists("bpf_ct_release"):
            n = 1
        with bpf.kfuncs.bpf_task_from_pid(bpf.current.tgid) as task:
            if task is not None:
                n += 2
        connection = bpf.kfuncs.bpf_xdp_ct_lookup(ctx, Flow(saddr=1, daddr=2, sport=3, dport=4), Options(protocol=17))
        if connection is not None:
            bpf.kfuncs.bpf_ct_release(connection)
        return n

    with program.load("kernel"):
        assert program.run(packet=bytes(64)).value == 3
