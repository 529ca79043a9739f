"""Operations of the kernel written in Python: TCP congestion controls, by which a connection in a network namespace of its own
goes."""

from __future__ import annotations

import errno
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import purebpf as bpf
from purebpf import u64
from purebpf.btf.running import kernel_btf
from purebpf.errors import CompileError, Error, KernelError, Unsupported
from purebpf.kernel.engine import KernelEngine
from purebpf.kernel.errors import kernel_version
from purebpf.tables.enums import LinkType, ProgramType
from purebpf.vmlinux import tcp_sock
from tests.kernel.netns import veth_pair
from tests.kernel.programs import needs


def no_types() -> str:
    try:
        kernel_btf()
    except Unsupported as error:
        return str(error)
    return ""


pytestmark = [pytest.mark.skipif(bool(no_types()), reason=no_types()), needs((6, 1), "operations as these tests write them")]
LINKS = needs((6, 4), "links of operations")
calls = bpf.Array[u64](max_entries=8)
CWND = 80  # struct tcp_info: tcpi_snd_cwnd
MEGABYTE = 1 << 20


@bpf.struct_ops("tcp_congestion_ops")
class steady:
    """Ten segments, whatever happens."""

    name = "bpf_steady"

    def init(sk: tcp_sock) -> None:  # type: ignore[valid-type]
        calls[0] += 1
        sk.snd_cwnd = 10
        sk.inet_conn.icsk_ca_priv[0] = 77
        sk.inet_conn.icsk_ca_priv[1] += 5

    def ssthresh(sk):  # type: ignore[no-untyped-def]
        return max(sk.snd_cwnd >> 1, 2)

    def cong_avoid(sk, ack, acked):  # type: ignore[no-untyped-def]
        calls[1] += acked
        sk.snd_cwnd = 10
        if sk.inet_conn.icsk_ca_priv[0] == 77 and sk.inet_conn.icsk_ca_priv[1] == 5:
            calls[2] += 1

    def undo_cwnd(sk):  # type: ignore[no-untyped-def]
        return sk.snd_cwnd

    def release(sk):  # type: ignore[no-untyped-def]
        calls[3] += 1


@bpf.struct_ops("tcp_congestion_ops")
class wider:
    name = "bpf_steady"

    def ssthresh(sk):  # type: ignore[no-untyped-def]
        return 20

    def cong_avoid(sk, ack, acked):  # type: ignore[no-untyped-def]
        sk.snd_cwnd = 20
        calls[4] += 1

    def undo_cwnd(sk):  # type: ignore[no-untyped-def]
        return sk.snd_cwnd


@bpf.struct_ops("tcp_congestion_ops")
class reno:
    """The kernel's own, by its kernel functions."""

    name = "bpf_own_reno"

    def ssthresh(sk):  # type: ignore[no-untyped-def]
        return bpf.kfuncs.tcp_reno_ssthresh(sk)

    def cong_avoid(sk, ack, acked):  # type: ignore[no-untyped-def]
        calls[5] += 1
        bpf.kfuncs.tcp_reno_cong_avoid(sk, ack, acked)

    def undo_cwnd(sk):  # type: ignore[no-untyped-def]
        return bpf.kfuncs.tcp_reno_undo_cwnd(sk)


@pytest.fixture
def apart() -> Iterator[None]:
    with veth_pair():
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield


class Connection:
    """A TCP connection over the loopback device that goes by a congestion control."""

    def __init__(self, control: str) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.received = 0
        self._thread = threading.Thread(target=self._receive)
        self.client = socket.socket()
        try:
            self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
            self.client.connect(self.server.getsockname())
        except BaseException:
            self.client.close()
            self.server.close()
            raise
        self._peer, _ = self.server.accept()
        self._thread.start()

    def _receive(self) -> None:
        with self._peer:
            while piece := self._peer.recv(1 << 16):
                self.received += len(piece)

    def send(self, size: int) -> int:
        """The congestion window after so many bytes."""
        self.client.sendall(bytes(size))
        info = self.client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return int.from_bytes(info[CWND : CWND + 4], "little")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._thread.join(10)
        self.server.close()


def test_a_connection_goes_by_it(kernel: KernelEngine, apart: None) -> None:
    with bpf.register(steady) as registered:
        if kernel_version() >= (6, 4):
            assert registered.mechanism == "struct_ops link"
            assert registered.info.type == LinkType.STRUCT_OPS
        before = [calls[i] for i in range(4)]
        with Connection("bpf_steady") as connection:
            used = connection.client.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
            assert used.rstrip(b"\0") == b"bpf_steady"
            assert connection.send(MEGABYTE) == 10
        assert connection.received == MEGABYTE
        deadline = time.monotonic() + 5
        while calls[3] == before[3] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert calls[0] - before[0] == 1
        assert calls[1] - before[1] > 0
        assert calls[2] - before[2] > 0
        assert calls[3] - before[3] == 1
    with pytest.raises(FileNotFoundError):
        Connection("bpf_steady")


def test_without_a_link(kernel: KernelEngine, apart: None) -> None:
    with bpf.register(steady, link=False) as registered:
        assert registered.mechanism == "struct_ops map"
        with Connection("bpf_steady") as connection:
            assert connection.send(MEGABYTE) == 10
        with pytest.raises(Unsupported, match="without a link"):
            registered.update(steady)
    with pytest.raises(FileNotFoundError):
        Connection("bpf_steady")


@LINKS
def test_others_take_their_place(kernel: KernelEngine, apart: None) -> None:
    with bpf.load(steady, wider):
        with bpf.register(steady) as registered:
            with Connection("bpf_steady") as connection:
                assert connection.send(MEGABYTE) == 10
            registered.update(wider)
            with Connection("bpf_steady") as connection:
                assert connection.send(MEGABYTE) == 20
            assert calls[4] > 0
        assert registered.operations is wider


def test_kernel_functions_of_the_operation(kernel: KernelEngine, apart: None) -> None:
    with bpf.register(reno), Connection("bpf_own_reno") as connection:
        connection.send(MEGABYTE)
        assert calls[5] > 0


def test_a_name_is_registered_once(kernel: KernelEngine, apart: None) -> None:
    with (
        bpf.load(steady, wider),
        bpf.register(steady),
        pytest.raises(KernelError) as caught,
    ):
        bpf.register(wider)
    assert caught.value.errno == errno.EEXIST


def test_what_the_kernel_wants_of_operations_is_told(kernel: KernelEngine) -> None:
    @bpf.struct_ops("tcp_congestion_ops")
    class partial:
        name = "bpf_partial"

        def release(sk):  # type: ignore[no-untyped-def]
            calls[0] += 1

    with pytest.raises(KernelError, match=r"one that it wants is missing.* `ssthresh`, `undo_cwnd`, and `cong_avoid`"):
        bpf.register(partial)

    @bpf.struct_ops("tcp_congestion_ops")
    class misnamed:
        names = "x"

        def release(sk):  # type: ignore[no-untyped-def]
            calls[0] += 1

    with pytest.raises(Error, match="no member `names`"):
        bpf.register(misnamed)

    @bpf.struct_ops("tcp_congestion_ops")
    class long_named:
        name = "sixteen_is_too_long"

        def release(sk):  # type: ignore[no-untyped-def]
            calls[0] += 1

    with pytest.raises(Error, match="at most 15 bytes"):
        bpf.register(long_named)


def test_specs() -> None:
    program = steady.programs["ssthresh"].compiled().program
    assert (program.section, program.type) == ("struct_ops/tcp_congestion_ops.ssthresh", ProgramType.STRUCT_OPS)
    assert steady.values == {"name": "bpf_steady"}


HEAD = 'import purebpf as bpf\nm = bpf.Array[bpf.u64](max_entries=1)\n@bpf.struct_ops("tcp_congestion_ops")\nclass f:\n'
REFUSED = {
    "    def ssthresh(sk): pass": ("can end without a result", "what `ssthresh`"),
    "    def release(sk): return 5": ("returns nothing",),
    "    def release(sk, more): pass": ("has 1 parameter, not 2",),
    "    def released(sk): pass": ("no operation `released`", "it has: ", "ssthresh"),
    "    def init(sk):\n        sk.srtt_us = 5": ("does not let these programs write", "snd_cwnd"),
    "    def init(sk):\n        sk.snd_cwnd_typo = 5": ("no field `snd_cwnd_typo`", "similar"),
    "    def init(sk):\n        sk.inet_conn.icsk_ca_priv[99] = 5": ("an index from 0 to",),
    "    def init(sk):\n        sk.inet_conn.icsk_ca_priv[m[0]] = 5": ("known when the program is compiled",),
    "    def init(sk):\n        sk.snd_cwnd = 1 << 32": ("does not fit",),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused(text: str, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(f"{HEAD}{text}\n")
    space: dict[str, object] = {"__name__": "program"}
    exec(compile(script.read_text(), str(script), "exec"), space)
    with pytest.raises(CompileError) as caught:
        for program in space["f"].programs.values():  # type: ignore[attr-defined]
            program.compiled()
    for part in REFUSED[text]:
        assert part in str(caught.value)
    assert "program.py:" in str(caught.value)


def test_other_programs_do_not_write_objects(tmp_path: Path) -> None:
    @bpf.tp_btf("sched_process_fork")
    def prog(parent):  # type: ignore[no-untyped-def]
        parent.pid = 5

    with pytest.raises(CompileError, match="cannot be written"):
        prog.compiled()


def test_a_misspelt_struct_is_told_with_the_right_name() -> None:
    @bpf.struct_ops("tcp_congestion_op")
    class misspelt:
        def ssthresh(sk):  # type: ignore[no-untyped-def]
            return 10

    with pytest.raises(CompileError, match=r"no operations `tcp_congestion_op`; did you mean tcp_congestion_ops\?"):
        bpf.register(misspelt)


def test_what_the_decorator_refuses() -> None:
    with pytest.raises(Error, match="has no operation"):

        @bpf.struct_ops("tcp_congestion_ops")
        class empty:
            name = "x"

    with pytest.raises(Error, match="functions, integers and texts"):

        @bpf.struct_ops("tcp_congestion_ops")
        class wrong:
            name = 1.5

    with pytest.raises(Error, match="takes the name of a struct"):
        bpf.struct_ops("tcp congestion")
    with pytest.raises(Error, match="could be sleepable"):

        @bpf.struct_ops("tcp_congestion_ops", sleepable=["x"])
        class sleeping:
            def init(sk):  # type: ignore[no-untyped-def]
                pass
