"""A tracked state in words: `pkt(off=14,r=12)` is "packet + 14, checked up to byte 12"."""

from __future__ import annotations

from purebpf.explain.states import WORD, State

FLAGS = ("trusted_", "untrusted_", "rcu_", "user_", "percpu_", "rdonly_", "non_own_ref_", "alloc_")
NAMED = {
    "ctx": "the context",
    "map_ptr": "a map",
    "pkt": "packet",
    "pkt_meta": "packet metadata",
    "pkt_end": "the packet's end",
    "fp": "stack",
    "map_key": "a map's key",
    "mem": "memory",
    "ringbuf_mem": "a ring buffer record",
    "alloc_mem": "a ring buffer record",
    "buf": "a buffer",
    "sock": "a socket",
    "sock_common": "a socket",
    "tcp_sock": "a TCP socket",
    "xdp_sock": "an XDP socket",
    "func": "a function",
    "arena": "arena memory",
    "flow_keys": "flow keys",
    "dynptr_ptr": "a dynptr",
    "iter": "an iterator",
}
STACK = {"m": "written", "?": "not written", "0": "zero", "r": "a spilled register", "i": "an iterator", "d": "a dynptr"}


def describe(state: State, null: str = "NULL") -> str:
    """The state in words, without a verb: "a number between 0 and 255", "a value of map `counts` (8 bytes), may be NULL"."""
    if state.number:
        return number(state)
    if state.text and set(state.text) <= set(STACK) and "?" in state.text + "?" and "(" not in state.text:
        return slot(state.text)
    return f"{pointer(state)}{checked(state)}{f', may be {null}' if state.nullable else ''}"


def number(state: State) -> str:
    """What a number may be, by its bounds."""
    if state.constant is not None:
        return f"the number {figure(state.constant)}"
    return f"a number {span(state)}" if span(state) else "a number that may be anything"


def span(state: State) -> str:
    """Bounds in words; "" when there are none."""
    least, most = state.least, state.most
    lower, upper = least > -WORD // 2, most < WORD // 2 - 1
    if lower and upper:
        return f"between {figure(least)} and {figure(most)}"
    if upper:
        return f"of at most {figure(most)}, which may be negative"
    if lower and least:
        return f"of at least {figure(least)}"
    if lower:
        return "that is not negative, without an upper bound"
    return f"of at most {figure(state.most_unsigned)} (unsigned)" if state.most_unsigned < WORD - 1 else ""


def figure(value: int) -> str:
    """A number as people write it: large ones with commas, round powers in hexadecimal."""
    return hex(value) if abs(value) > 0xFFFF_FFFF else f"{value:,}"


def pointer(state: State) -> str:
    """What a pointer points to, with its offset."""
    kind = state.kind.replace("_or_null", "")
    base = place(kind, state)
    if kind == "fp":
        return f"{base} at {state.offset:+d}" if state.offset else "the top of the stack"
    parts = [base]
    if state.offset:
        parts.append(f"{'+' if state.offset > 0 else '-'} {abs(state.offset)}")
    if state.moved:
        parts.append(f"+ a number {span(state)}" if span(state) else "+ a number that may be anything")
    return " ".join(parts)


def place(kind: str, state: State) -> str:
    """The memory by name."""
    fields = state.fields
    named = f" `{fields['map']}`" if fields.get("map") else ""
    if kind == "map_value":
        size = f" ({fields['vs']} bytes)" if "vs" in fields else ""
        return f"a value of map{named}{size}" if named else f"a map's value{size}"
    if kind == "map_ptr":
        return f"the map{named}" if named else "a map"
    room = fields.get("sz") or fields.get("mem_size")
    if room and kind in ("mem", "ringbuf_mem", "alloc_mem"):
        return f"{NAMED[kind]} of {room} bytes"
    if kind in NAMED:
        return NAMED[kind]
    for flag in FLAGS:
        if kind.startswith(flag):
            return f"{place(kind.removeprefix(flag), state)} ({flag.rstrip('_').replace('_', ' ')})"
    if kind.startswith("ptr_"):
        return f"a kernel `{kind.removeprefix('ptr_') or 'object'}`"
    return f"`{kind}`"


def checked(state: State) -> str:
    """How far a packet pointer has been compared with the packet's end."""
    if state.kind not in ("pkt", "pkt_meta"):
        return ""
    upto = state.fields.get("r", "0")
    return (
        f", checked up to byte {upto} from there"
        if upto != "0" and state.moved
        else (f", checked up to byte {upto}" if upto != "0" else ", of which no byte is checked")
    )


def slot(text: str) -> str:
    """Eight bytes of stack, one letter each."""
    kinds = dict.fromkeys(STACK[letter] for letter in text)
    return "8 bytes, " + " and ".join(kinds)
