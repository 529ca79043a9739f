"""The packet's length in a function with loop budgets comes from a helper.

    before:  n = sub packet_end, packet         after:  n = call xdp_get_buff_len ctx

Following where a number comes from, Linux 6.18's verifier gives up at the difference of two pointers and takes all numbers for
wanted; behind a `may_goto` it then trips over itself ("verifier bug: backtracking call unexpected regs"). It stops at a call.
Without multi-buffer support, which programs must ask for, the helper (Linux 5.18, older than `may_goto`) gives the same number.

Requires: ssa.
"""

from __future__ import annotations

from purebpf.compiler.ir.analysis import has_budget
from purebpf.compiler.ir.ops import Function, Op, Ptr

XDP_DATA_END = (4, 0, 4)  # size, no sign, offset in struct xdp_md


def ask_for_lengths(fn: Function) -> None:
    if not any(map(has_budget, fn.blocks)) or not any(map(_is_end_of_frame, fn.ops())):
        return
    context = next((param for param in fn.params if param.type == Ptr("ctx")), None)
    for op in fn.ops():
        if context is not None and op.kind == "sub" and _kind(op.args[0]) == "packet_end" and _kind(op.args[1]) == "packet":
            op.kind, op.args, op.imm = "call", [context], ("xdp_get_buff_len",)


def _is_end_of_frame(op: Op) -> bool:
    """Whether it is where an XDP frame ends, by the field it comes from; elsewhere there is no such helper."""
    return _kind(op) == "packet_end" and op.kind == "load" and op.imm == XDP_DATA_END


def _kind(op: Op) -> str:
    return op.type.kind if isinstance(op.type, Ptr) else ""
