"""Decorators of network programs whose argument chooses the hook: cgroups, socket maps, sockets, routes."""

from __future__ import annotations

from collections.abc import Callable

from purebpf.lang import declaring
from purebpf.lang.network_types import HOOKS, NETWORK_KINDS, hooked, known
from purebpf.program import Program, plain_decorator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias, overload

    Decorator: TypeAlias = Callable[[Callable[..., Any]], Program]

BY_NAME = {kind.decorator: kind for kind in NETWORK_KINDS}


def _chosen(name: str) -> Callable[[str], Decorator]:
    """A decorator whose argument is one of the type's hooks."""
    plain = BY_NAME[name]

    def with_hook(hook: str) -> Decorator:
        kind = hooked(plain, known(name, hook))
        return lambda function: Program(function, kind, "")  # type: ignore[arg-type]

    usage = f'@bpf.{name}("{next(iter(HOOKS[name]))}"): its argument is {plain.hook}'
    with_hook = declaring.explained(f"@bpf.{name}", usage)(with_hook)
    with_hook.__name__ = name
    with_hook.__doc__ = f"Make a function a program of type `{name}`; the argument is {plain.hook}."
    return with_hook


def _plain(name: str) -> Callable[[Callable[..., Any]], Program]:
    return plain_decorator(BY_NAME[name])


if TYPE_CHECKING:

    @overload
    def sk_reuseport(function: Callable[..., Any], /) -> Program: ...

    @overload
    def sk_reuseport(*, migrate: bool = False) -> Decorator: ...


def sk_reuseport(function: Any = None, /, *, migrate: bool = False) -> Any:
    """Make a function a program that chooses among the sockets of a reuseport group (Linux 4.19); it returns `bpf.SK_PASS` or
    `bpf.SK_DROP`. `migrate=True`: it is asked too where a closed socket's connections go (Linux 5.14)."""
    kind = BY_NAME["sk_reuseport"]
    if migrate:
        kind = hooked(kind, "migrate")
    if function is None:
        return lambda function: Program(function, kind, "")
    return plain_decorator(kind)(function)


cgroup_skb = _chosen("cgroup_skb")
cgroup_sock = _chosen("cgroup_sock")
cgroup_sock_addr = _chosen("cgroup_sock_addr")
cgroup_device = _plain("cgroup_device")
cgroup_sysctl = _plain("cgroup_sysctl")
cgroup_sockopt = _chosen("cgroup_sockopt")
sockops = _plain("sockops")
sk_msg = _plain("sk_msg")
sk_skb = _chosen("sk_skb")
sk_lookup = _plain("sk_lookup")
flow_dissector = _plain("flow_dissector")
lwt_in = _plain("lwt_in")
lwt_out = _plain("lwt_out")
lwt_xmit = _plain("lwt_xmit")
lwt_seg6local = _plain("lwt_seg6local")
netfilter = _plain("netfilter")
