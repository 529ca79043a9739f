"""The decorator of XDP programs, whose argument chooses a variant."""

from __future__ import annotations

from collections.abc import Callable

from purebpf.lang import declaring
from purebpf.lang.program_types import KINDS
from purebpf.program import Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias, overload

    Decorator: TypeAlias = Callable[[Callable[..., Any]], Program]
    XdpHook: TypeAlias = Literal["devmap", "cpumap"]


if TYPE_CHECKING:

    @overload
    def xdp(function: Callable[..., Any], /) -> Program: ...

    @overload
    def xdp(hook: XdpHook | None = None, /, *, frags: bool = False) -> Decorator: ...


def xdp(hook: Any = None, /, *, frags: bool = False) -> Any:
    """Make a function an XDP program; it returns an XDP action such as `bpf.XDP_PASS`.

    `@bpf.xdp("devmap")` and `@bpf.xdp("cpumap")` are for entries of a device or CPU map (Linux 5.8, 5.9): they get the packets
    that were redirected there. `frags=True`: it takes packets of several pieces (Linux 5.18).
    """
    kind = KINDS["xdp"]
    if hook is None and not frags:
        raise declaring.error("`@bpf.xdp`: missing a required argument", "@bpf.xdp alone, over a function")
    if isinstance(hook, str):
        from purebpf.lang.network_types import hooked, known

        kind = hooked(kind, known("xdp", hook, "what to attach to is said in `attach`: @bpf.xdp alone"))
    if frags:
        from purebpf.lang.network_types import fragmented

        kind = fragmented(kind)
    if hook is None or isinstance(hook, str):
        return lambda function: Program(function, kind, "")
    return Program(hook, kind, "")
