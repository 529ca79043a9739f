"""The methods that maps have in a program, by kind."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from purebpf.compiler.frontend import instead, memory, references, rings
from purebpf.compiler.frontend.helpers import allowed, map_op, readable
from purebpf.compiler.frontend.maps import held, inbox, queues, storage
from purebpf.compiler.frontend.maps.entries import (
    ARRAYS,
    abilities,
    arguments,
    typed,
)
from purebpf.compiler.frontend.maps.reading import get
from purebpf.compiler.frontend.maps.writing import delete, pop, set_
from purebpf.compiler.frontend.values import (
    NONE,
    Const,
    IntValue,
    Ref,
    Value,
    describe,
    with_article,
)
from purebpf.lang.maps import (
    CgroupArray,
    KeyedMap,
    MapDeclaration,
    PerfEventArray,
    ProgArray,
    Sockets,
    StreamSockets,
    Targets,
)
from purebpf.lang.maps.inbox import UserRingBuf
from purebpf.lang.maps.lpm import LpmTrie
from purebpf.lang.maps.nested import Outer
from purebpf.lang.maps.queues import BloomFilter, Queue
from purebpf.lang.maps.storage import AttachedCgroupStorage, Storage
from purebpf.lang.rings import RingBuf
from purebpf.lang.types import StructType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

BPF_F_CURRENT_CPU = 0xFFFFFFFF


def _tail_call(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`table.tail_call(ctx, index)`: does not return when there is a program; goes on when there is none."""
    from purebpf.compiler.frontend.helpers import allowed
    from purebpf.compiler.frontend.values import Context

    context, index = arguments(cx, node, declaration, "tail_call", ("ctx", "index"), 2)
    allowed(cx, node, "tail_call")
    if cx.scopes:
        cx.fail(node, f"a tail call would never come back to end {cx.scopes[-1].what}", hint="make it behind the block")
    if not isinstance(context[1], Context):
        cx.fail(context[0], f"the first argument of `tail_call` is the context, not {describe(context[1])}")
    references.check_end(cx, cx.flow, node, "still held at a `tail_call`, which may end the program")
    cx.call("tail_call", [context[1].op, map_op(cx, node, declaration), cx.integer(*index).op])
    return NONE


def _output(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    """`events.output(record)`: send a copy to this CPU's ring; 0 or -errno."""
    value, *rest = arguments(cx, node, declaration, "output", ("record", "flags"), 1)
    allowed(cx, node, "perf_event_output")
    context = cx.context
    if context is None:
        cx.fail(
            node,
            "`output` needs the program's context, which this subprogram does not have",
            hint="give it `ctx` as a parameter",
        )
    layout = declaration.value_type
    if isinstance(layout, StructType) and not (isinstance(value[1], Ref) and value[1].type == layout):
        cx.usable(*value)
        cx.fail(value[0], f"`{declaration.name}` takes `{layout}`, not {describe(value[1])}")
    flags = cx.integer(*rest[0]).op if rest else cx.const(BPF_F_CURRENT_CPU)
    place = memory.materialized(cx, value[0], value[1], layout, "record")
    source = readable(cx, value[0], place, "perf_event_output")
    op = cx.call("perf_event_output", [context, map_op(cx, node, declaration), flags, source, cx.const(layout.size)])
    return IntValue(op, -(1 << 63), (1 << 63) - 1, True)


def _reserve(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    cx.fail(node, "this stands in a `with`, which hands the record over", hint=f"with {ast.unparse(node)} as record:")


Method = Callable[["Lowering", ast.Call, MapDeclaration], Value]


def _for_each(cx: Lowering, node: ast.Call, declaration: MapDeclaration) -> Value:
    from purebpf.compiler.frontend.each import for_each

    return for_each(cx, node, declaration)


KEYED_METHODS: dict[str, Method] = {"get": get, "set": set_, "delete": delete, "pop": pop, "for_each": _for_each}


def methods_of(declaration: MapDeclaration) -> dict[str, Method]:
    match declaration:
        case Targets():
            return {"redirect": held.redirect_packet}
        case StreamSockets():
            more = {
                "redirect": held.redirect_data,
                "add": held.add,
                "assign": held.assign,
                "delete": held.delete,
                "get": held.get,
            }
            return {"select": held.select, **more}
        case Sockets():
            return {"select": held.select}
        case CgroupArray():
            return {"holds_current": held.holds_current, "holds_packet": held.holds_packet}
        case ProgArray():
            return {"tail_call": _tail_call}
        case PerfEventArray():
            return {"output": _output}
        case RingBuf():
            return {"emit": rings.emit, "discard": rings.discard, "reserve": _reserve, "reserve_bytes": _reserve}
        case BloomFilter():
            return {"add": queues.add}
        case Queue():
            return {"push": queues.push, "pop": queues.pop, "peek": queues.peek}
        case UserRingBuf():
            return {"drain": inbox.drain}
        case Storage():
            return {"get": storage.get, "delete": storage.delete}
        case AttachedCgroupStorage():
            return {"get": storage.attached}
        case Outer():
            return {"get": get}
        case LpmTrie():
            return {k: m for k, m in KEYED_METHODS.items() if k != "for_each"}
        case KeyedMap():
            return (
                KEYED_METHODS
                if declaration.kind not in ARRAYS
                else {k: m for k, m in KEYED_METHODS.items() if k not in ("delete", "pop")}
            )
    return {}


def method(cx: Lowering, node: ast.Call, declaration: MapDeclaration, name: str) -> Value:
    """A call of a map's method."""
    found = methods_of(declaration).get(name)
    if found is None:
        if name == "delete" and declaration.kind in ARRAYS:
            delete(cx, node, declaration)
        cx.fail(
            node.func,
            f"{with_article(type(declaration).__name__)} has no method `{name}` in a program",
            hint=instead.method(node, Const(declaration), name) or abilities(declaration),
        )
    typed(cx, node.func, declaration)
    return found(cx, node, declaration)
