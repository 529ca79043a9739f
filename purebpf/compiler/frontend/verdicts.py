"""What a program's result means: actions of another program type, bools and unknown numbers returned where an action is wanted.

Only what is written out is judged; a number that is computed when the program runs is the author's.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, NoReturn

from purebpf.compiler.frontend import bounds
from purebpf.compiler.frontend.values import NONE, Const, IntValue, Value
from purebpf.compiler.ir.ops import Op
from purebpf.data import data, replace

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering


@data
class Actions:
    """The actions of a program type: how their names begin, the numbers the kernel knows, what it does with another."""

    prefix: str
    low: int
    high: int
    otherwise: str
    usual: str


ACTIONS = {
    "xdp": Actions("XDP_", 0, 4, "the kernel drops the packet and logs an illegal value", "bpf.XDP_PASS"),
    "tc": Actions("TC_ACT_", -1, 8, "the kernel takes it for TC_ACT_UNSPEC", "bpf.TC_ACT_OK"),
}  # include/uapi/linux/bpf.h (enum xdp_action), include/uapi/linux/pkt_cls.h
RESULTS = {(-4095, 0): "0 to allow, or a negative errno to refuse", (0, 1): "0 to go on, or 1 to be called again"}
ONLY_ALLOW = (1, 1)
SESSIONS = frozenset({"kprobe_session", "uprobe_session"})  # at both ends of functions
OF_A_SESSION = "0 to run where the function returns as well, or 1 not to"
FAMILIES = re.compile(r"(XDP|TC_ACT|SK|NF)_[A-Z]+")


def check_action(cx: Lowering, node: ast.expr, value: Value) -> Value:
    """Judge what the program itself returns; the same value, in a form that the verifier takes."""
    if len(cx.frames) > 1 or cx.unit.active or cx.frame.function is not cx.unit.own:
        return value
    if cx.unit.kind.results is not None and not cx.flow.dead:
        return _in_range(cx, node, value, _results(cx, cx.unit.kind.results))
    if (actions := ACTIONS.get(cx.unit.kind.decorator)) is not None:
        _check_action(cx, node, value, actions)
    return value


def _results(cx: Lowering, usual: tuple[int, int]) -> tuple[int, int]:
    """What the verifier takes: of a cgroup's security hook that has nothing to refuse, 1 alone (check_return_code)."""
    if cx.unit.kind.decorator != "lsm_cgroup":
        return usual
    from purebpf.compiler.frontend import parameters

    return ONLY_ALLOW if parameters.of_void_hook(cx) else usual


def _check_action(cx: Lowering, node: ast.expr, value: Value, actions: Actions) -> None:
    if isinstance(node, ast.IfExp):
        for side in (node.body, node.orelse):
            _check_name(cx, side, actions)
    _check_name(cx, node, actions)
    if not isinstance(value, Const):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        _wrong(cx, node, actions, "the kernel would take it for a number")
    if isinstance(value.value, int) and not isinstance(value.value, bool) and not actions.low <= value.value <= actions.high:
        cx.warn(node, f"{value.value} is no action of a `@bpf.{cx.unit.kind.decorator}` program", actions.otherwise)


def _in_range(cx: Lowering, node: ast.expr, value: Value, results: tuple[int, int]) -> Value:
    """A result within what the kernel takes; of a computed one the verifier is told so."""
    number = value if value == NONE else cx.integer(node, value, "a result")
    if not isinstance(number, IntValue) or (number.op.is_const and results[0] <= number.low <= results[1]):
        return value
    low, high = results
    if low <= number.low <= number.high <= high:
        if low < 0 and not _settled(cx, number.op):
            return replace(number, op=bounds.provable_negative(cx, number.op, low))
        return number if low < 0 or number.boolean else replace(number, op=bounds.provable(cx, number.op, high))
    if low < 0 and (own := _own_result(cx, node, number.op)) is not None:
        return replace(number, op=own)
    what = f"a `@bpf.{cx.unit.kind.decorator}` program returns"
    if results == (0, 0):
        cx.fail(node, f"{what} nothing", "the kernel takes 0 only", "leave the value out: `return`")
    found = str(number.low) if number.low == number.high else f"between {number.low} and {number.high}"
    hint = "" if number.low == number.high else "test or narrow it first"
    cx.fail(node, f"{what} {_meaning(cx, results)}", f"this is {found}", hint)


def _meaning(cx: Lowering, results: tuple[int, int]) -> str:
    kind = cx.unit.kind
    if kind.decorator == "lsm_cgroup" and results == ONLY_ALLOW:
        return "1 at this hook, where nothing can be refused"
    return kind.returns or (OF_A_SESSION if kind.decorator in SESSIONS else RESULTS[results])


def _settled(cx: Lowering, op: Op) -> bool:
    """Whether the verifier knows the range of a result as well: of one that was tested, and of constants that come together."""
    if op.kind != "param":
        return op.kind in ("guard", "const")
    if any(frame.loops for frame in cx.frames):  # not all that comes together here is known yet
        return False
    index = op.block.params.index(op) if op.block is not None and op in op.block.params else -1
    edges = cx.fn.predecessors().get(op.block, []) if op.block is not None and index >= 0 else []
    return bool(edges) and all(target.args[index].kind == "const" for _, target in edges)


def _own_result(cx: Lowering, node: ast.expr, op: Op) -> Op | None:
    """The security hook's `ret` as it was handed over: the verifier knows what it may be, until its sign is extended."""
    while op.kind in ("guard", "sext"):
        op = op.args[0]
    return op if isinstance(node, ast.Name) and node.id == "ret" and op.kind == "load" and op.args[0] is cx.context else None


def _check_name(cx: Lowering, node: ast.expr, actions: Actions) -> None:
    """An action's name says which programs it is for."""
    name = ast.unparse(node).rpartition(".")[2]
    if FAMILIES.fullmatch(name) and not name.startswith(actions.prefix):
        _wrong(cx, node, actions, f"its actions are named {actions.prefix}...")


def _wrong(cx: Lowering, node: ast.expr, actions: Actions, why: str) -> NoReturn:
    cx.fail(
        node,
        f"`{ast.unparse(node)}` is no action of a `@bpf.{cx.unit.kind.decorator}` program",
        why,
        f"return an action such as `{actions.usual}`",
    )
