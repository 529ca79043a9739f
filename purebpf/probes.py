"""Decorators of probes: programs on functions of the kernel (kprobe) and of programs and libraries (uprobe)."""

from __future__ import annotations

import os
from collections.abc import Callable

from purebpf.data import replace
from purebpf.errors import Error
from purebpf.lang import declaring
from purebpf.lang.program_types import KINDS
from purebpf.program import Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Decorator: TypeAlias = Callable[[Callable[..., Any]], Program]


def _kernel(name: str) -> Callable[..., Decorator]:
    plain = KINDS[name]
    usage = f'@bpf.{name}("tcp_v4_connect"); several names, or a pattern such as "tcp_v4_*", are probed at once'

    def with_functions(*functions: str) -> Decorator:
        from purebpf.btf.targets import is_pattern, target

        if not functions or not all(isinstance(function, str) and function for function in functions):
            raise declaring.error(f"@bpf.{name} takes {plain.hook}", usage)
        many = len(functions) > 1 or is_pattern(functions[0])
        for function in functions:
            try:
                found = None if is_pattern(function) else target(function)
            except Error as error:
                raise declaring.error(str(error), usage) from None
            if found and found.offset and (many or name == "kretprobe"):
                raise declaring.error(
                    f"{function!r} has an offset, but {'several functions are' if many else 'a kretprobe is'} probed at the "
                    f"{'start' if name == 'kprobe' else 'end'} only"
                )
        return lambda function: Program(function, plain.many() if many else plain, ",".join(functions))  # type: ignore[arg-type]

    with_functions = declaring.explained(f"@bpf.{name}", usage)(with_functions)
    with_functions.__name__ = name
    end = " returns" if name == "kretprobe" else " is called"
    with_functions.__doc__ = f"Make a function a program that runs when {plain.hook}{end}."
    return with_functions


def _user(name: str) -> Callable[..., Decorator]:
    plain = KINDS[name]
    usage = f'@bpf.{name}("libc.so.6", "malloc"), @bpf.{name}("/usr/bin/python3", 0x1234) or ("./server", "handle+8")'

    def with_symbol(binary: str | os.PathLike[str], symbol: str | int, *, sleepable: bool = False) -> Decorator:
        if not isinstance(binary, str | os.PathLike) or not os.fspath(binary):
            raise declaring.error(f"@bpf.{name} takes {plain.hook}", usage)
        from purebpf.btf.targets import is_pattern

        if isinstance(symbol, str):
            right = bool(symbol)
        else:
            right = isinstance(symbol, int) and not isinstance(symbol, bool) and symbol >= 0
        if not right:
            raise declaring.error(f"@bpf.{name}: the symbol is a name, or the offset in the file as a number", usage)
        where = symbol if isinstance(symbol, str) else f"{symbol:#x}"
        kind = plain.many() if is_pattern(where) else plain
        kind = kind.sleeping() if sleepable else kind
        return lambda function: Program(function, kind, f"{os.fspath(binary)}:{where}")  # type: ignore[arg-type]

    with_symbol = declaring.explained(f"@bpf.{name}", usage)(with_symbol)
    with_symbol.__name__ = name
    end = " returns" if name == "uretprobe" else " is called"
    with_symbol.__doc__ = (
        f"Make a function a program that runs when a function in a binary or library{end}. The library is a path, or a name "
        "that the loader knows. A pattern stands for all functions that it fits, a number is the offset in the file. With "
        "`sleepable` (Linux 6.0) it may call what sleeps."
    )
    return with_symbol


USDT = '@bpf.usdt("libstdc++.so.6", "libstdcxx", "throw"): a binary, a provider and a name; `readelf -n` lists them'


@declaring.explained("@bpf.usdt", USDT)
def usdt(binary: str | os.PathLike[str], provider: str, name: str, *, sleepable: bool = False) -> Decorator:
    """Make a function a program that runs at a probe that a binary or library has itself (USDT, `.note.stapsdt`).

    Its parameters are the probe's arguments, in their order, under names of its own. With `sleepable` (Linux 6.0) it may call
    what sleeps.
    """
    words = (os.fspath(binary) if isinstance(binary, str | os.PathLike) else "", provider, name)
    if not all(isinstance(word, str) and word for word in words) or any(":" in word for word in words[1:]):
        raise declaring.error("@bpf.usdt takes a binary or library, a provider and a name", USDT)
    kind = KINDS["usdt"].sleeping() if sleepable else KINDS["usdt"]
    return lambda function: Program(function, kind, ":".join(words))  # type: ignore[arg-type]


RAW = '@bpf.raw_tracepoint("sched_switch"); with writable=True for an event whose arguments may be changed'


@declaring.explained("@bpf.raw_tracepoint", RAW)
def raw_tracepoint(event: str, *, writable: bool = False) -> Decorator:
    """Make a function a program that runs at a tracepoint and gets its arguments as they are (Linux 4.17).

    With `writable` (Linux 5.2) it may change what the event's first argument points to; few events have such a one.
    """
    plain = KINDS["raw_tracepoint"]
    if not isinstance(event, str):
        raise declaring.error(f"@bpf.raw_tracepoint takes {plain.hook}", RAW)
    return lambda function: Program(function, plain.changing() if writable else plain, event)  # type: ignore[arg-type]


def _call(name: str) -> Callable[[str], Decorator]:
    plain = KINDS[name]
    usage = f'@bpf.{name}("openat"): the name of a system call'

    def with_call(call: str) -> Decorator:
        if not isinstance(call, str) or not call.isidentifier():
            raise declaring.error(f"@bpf.{name} takes {plain.hook}", usage)
        return lambda function: Program(function, plain, call)  # type: ignore[arg-type]

    with_call = declaring.explained(f"@bpf.{name}", usage)(with_call)
    with_call.__name__ = name
    end = " returns" if name == "kretsyscall" else " begins"
    with_call.__doc__ = f"Make a function a program that runs when {plain.hook}{end}, for every process (a kprobe, Linux 4.17)."
    return with_call


SESSION = '@bpf.kprobe_session("tcp_v4_connect"); several names, or a pattern such as "tcp_v4_*", are probed at once'


@declaring.explained("@bpf.kprobe_session", SESSION)
def kprobe_session(*functions: str) -> Decorator:
    """Make a function a program that runs when functions of the kernel are called and again when they return (Linux 6.10).

    `bpf.returning()` tells which it is. A result of 1 at the call leaves out the return.
    """
    if not functions or not all(isinstance(function, str) and function and "+" not in function for function in functions):
        raise declaring.error("@bpf.kprobe_session takes functions of the kernel, or patterns", SESSION)
    return lambda function: Program(function, KINDS["kprobe_session"], ",".join(functions))  # type: ignore[arg-type]


@declaring.explained("@bpf.uprobe_session", '@bpf.uprobe_session("libc.so.6", "malloc"), or a pattern such as "mem*"')
def uprobe_session(binary: str | os.PathLike[str], symbol: str, *, sleepable: bool = False) -> Decorator:
    """Make a function a program that runs when functions of a binary or library are called and again when they return (Linux
    6.13).

    `bpf.returning()` tells which it is. A result of 1 at the call leaves out the return. The symbol is a name or a pattern.
    With `sleepable` it may call what sleeps.
    """
    path = os.fspath(binary) if isinstance(binary, str | os.PathLike) else ""
    if not path or not isinstance(symbol, str) or not symbol or "+" in symbol or symbol[0].isdigit():
        raise declaring.error("@bpf.uprobe_session takes a binary or library, and a function's name or a pattern")
    kind = KINDS["uprobe_session"].sleeping() if sleepable else KINDS["uprobe_session"]
    return lambda function: Program(function, kind, f"{path}:{symbol}")  # type: ignore[arg-type]


ksyscall = _call("ksyscall")
kretsyscall = _call("kretsyscall")
REPLACE = '@bpf.freplace(program, "function"): a program, and the name of one of its @bpf.global_subprogram functions'


@declaring.explained("@bpf.freplace", REPLACE)
def freplace(program: Program, function: str) -> Decorator:
    """Make a function a program that takes the place of a global subprogram of another while it is attached (Linux 5.6).

    It has the same parameters and result as the function, and may do what the program may.
    """
    if not isinstance(program, Program) or not isinstance(function, str) or not function:
        raise declaring.error("@bpf.freplace takes a program and the name of a function", REPLACE)
    kind = replace(program.kind, decorator="freplace", section="freplace", attach=None, returns="", results=None)

    def decorate(own: Callable[..., Any]) -> Program:
        made = Program(own, kind, function)  # type: ignore[arg-type]
        made.whole = program
        return made

    return decorate


kprobe = _kernel("kprobe")
kretprobe = _kernel("kretprobe")
uprobe = _user("uprobe")
uretprobe = _user("uretprobe")
