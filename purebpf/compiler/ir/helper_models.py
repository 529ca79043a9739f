"""What helpers do in an `Environment`: enough of each for a program's results to be right.

After their descriptions in include/uapi/linux/bpf.h. A helper that is not in the table `HELPERS` is an error that lists those
that are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from purebpf.compiler.ir.environment import E2BIG, ENOENT, Environment, MapPlace
from purebpf.compiler.ir.interp import TailCall
from purebpf.compiler.ir.memory import Callee, IrRuntimeError, Memory, Pointer, Value, integer, pointer
from purebpf.compiler.ir.ops import signed64
from purebpf.tables.enums import MapType

EFAULT, EINVAL = 14, 22
ETHERNET_HEADER = 14
MOST_LOOPS = 1 << 23  # BPF_MAX_LOOPS
CONVERSION = re.compile(r"%(?P<flags>[-+ #0]*)(?P<width>\d*)(?P<long>l{0,2})(?P<letter>[a-zA-Z%])")
U32, U64 = (1 << 32) - 1, (1 << 64) - 1

Model = Callable[[Environment, Sequence[Value]], Value]


def map_of(value: Value, types: frozenset[MapType] | None = None) -> MapPlace:
    place = pointer(value, "the map").place
    if not isinstance(place, MapPlace):
        raise IrRuntimeError(f"the map is wanted, not a pointer to {value}")
    if types is not None and place.spec.type not in types:
        names = ", ".join(sorted(t.name for t in types))
        raise IrRuntimeError(f"map `{place.name}` is of type {place.spec.type.name}; the helper works on {names}")
    return place


def bytes_of(value: Value, size: int, what: str) -> bytes:
    if size == 0:
        return b""
    at = pointer(value, what)
    return at.place.read(at.offset, size)


def fill(value: Value, data: bytes, what: str) -> None:
    if data:
        at = pointer(value, what)
        at.place.write(at.offset, data)


def number(value: Value, what: str) -> int:
    """An argument as an unsigned 64-bit number."""
    return integer(value, what) & U64


def size_of(value: Value, what: str) -> int:
    size = integer(value, what)
    if not 0 <= size < 1 << 29:
        raise IrRuntimeError(f"{what} is {size}, which is no size")
    return size


def map_lookup_elem(env: Environment, where: Value, key: Value) -> Value:
    place = map_of(where)
    found = place.lookup(bytes_of(key, place.spec.key_size, "the key"))
    return Pointer(found) if found is not None else 0


def map_update_elem(env: Environment, where: Value, key: Value, value: Value, flags: Value) -> Value:
    place = map_of(where)
    new = bytes_of(value, place.spec.value_size, "the value")
    return place.update(bytes_of(key, place.spec.key_size, "the key"), new, number(flags, "the flags"))


def map_delete_elem(env: Environment, where: Value, key: Value) -> Value:
    place = map_of(where)
    return place.delete(bytes_of(key, place.spec.key_size, "the key"))


def tail_call(env: Environment, ctx: Value, where: Value, index: Value) -> Value:
    place = map_of(where, frozenset({MapType.PROG_ARRAY}))
    handle = place.get((number(index, "the index") & U32).to_bytes(4, env.order))
    module = env.programs.get(int.from_bytes(handle, env.order)) if handle else None
    if module is None:
        return -ENOENT
    raise TailCall(module)


def ktime_get_ns(env: Environment) -> Value:
    env.time += 1000
    return env.time


def get_prandom_u32(env: Environment) -> Value:
    return env.random.getrandbits(32)


def get_smp_processor_id(env: Environment) -> Value:
    return env.cpu


def get_current_pid_tgid(env: Environment) -> Value:
    return signed64(env.pid_tgid)


def get_current_uid_gid(env: Environment) -> Value:
    return signed64(env.uid_gid)


def get_current_comm(env: Environment, buffer: Value, size: Value) -> Value:
    room = size_of(size, "the size")
    if room == 0:
        return -EINVAL
    fill(buffer, env.comm[: room - 1].ljust(room, b"\0"), "the buffer")
    return 0


def formatted(form: str, args: Sequence[Value]) -> str:
    """The kernel's printf for integers, characters and texts."""
    rest = list(args)

    def one(match: re.Match[str]) -> str:
        letter = match["letter"]
        if letter == "%":
            return "%"
        if not rest:
            raise IrRuntimeError(f"the format `{form}` wants more than {len(args)} values")
        value = rest.pop(0)
        if letter == "s":
            shown, width = text_of(value).decode(errors="surrogateescape"), int(match["width"] or 0)
            return shown.ljust(width) if "-" in match["flags"] else shown.rjust(width)
        bits = 64 if match["long"] else 32
        whole = integer(value, "a value to print") & ((1 << bits) - 1)
        if letter in "di" and whole >> (bits - 1):
            whole -= 1 << bits
        if letter not in "diuxXc":
            raise IrRuntimeError(f"the IR interpreter cannot print `{match.group()}`")
        return f"%{match['flags']}{match['width']}{'d' if letter in 'diu' else letter}" % whole

    text = CONVERSION.sub(one, form)
    if rest:
        raise IrRuntimeError(f"the format `{form}` leaves {len(rest)} of {len(args)} values over")
    return text


def text_of(value: Value) -> bytes:
    """The text at a pointer, without its NUL."""
    at, text = pointer(value, "the text"), b""
    while not text.endswith(b"\0"):
        text += at.place.read(at.offset + len(text), 1)
    return text[:-1]


def trace_printk(env: Environment, form: Value, size: Value, *values: Value) -> Value:
    data = bytes_of(form, size_of(size, "the format's size"), "the format")
    if not data.endswith(b"\0"):
        return -EINVAL
    env.printed.append(formatted(data[:-1].decode("ascii"), values))
    return len(env.printed[-1])


def trace_vprintk(env: Environment, form: Value, size: Value, array: Value, length: Value) -> Value:
    count = size_of(length, "the values' size") // 8
    at = pointer(array, "the values") if count else None
    loaded = [at.place.load(at.offset + 8 * i, 8) for i in range(count)] if at else []
    return trace_printk(env, form, size, *loaded)


def perf_event_output(env: Environment, ctx: Value, where: Value, flags: Value, data: Value, size: Value) -> Value:
    place = map_of(where, frozenset({MapType.PERF_EVENT_ARRAY}))
    env.events.append((place.name, number(flags, "the flags"), bytes_of(data, size_of(size, "the size"), "the record")))
    return 0


def ringbuf_output(env: Environment, where: Value, data: Value, size: Value, flags: Value) -> Value:
    place = map_of(where, frozenset({MapType.RINGBUF}))
    env.events.append((place.name, number(flags, "the flags"), bytes_of(data, size_of(size, "the size"), "the record")))
    return 0


def ringbuf_reserve(env: Environment, where: Value, size: Value, flags: Value) -> Value:
    place = map_of(where, frozenset({MapType.RINGBUF}))
    record = Memory("mem", place.name, bytes(size_of(size, "the size")), blank=True, big_endian=env.big_endian)
    env.reserved[record] = place.name
    return Pointer(record)


def _reserved(env: Environment, record: Value) -> tuple[Memory, str]:
    place = pointer(record, "the record").place
    if not isinstance(place, Memory) or place not in env.reserved:
        raise IrRuntimeError(f"the record is no reserved one but {record}")
    return place, env.reserved.pop(place)


def ringbuf_submit(env: Environment, record: Value, flags: Value) -> Value:
    place, name = _reserved(env, record)
    env.events.append((name, number(flags, "the flags"), place.read(0, len(place.data))))
    place.gone = "the record has been submitted"
    return 0


def ringbuf_discard(env: Environment, record: Value, flags: Value) -> Value:
    _reserved(env, record)[0].gone = "the record has been discarded"
    return 0


def _foreign(env: Environment, address: int, size: int) -> bytes | None:
    """Memory behind an address, as far as it goes up to `size`; None when nothing is there."""
    for start, data in env.foreign.items():
        if start <= address < start + len(data):
            return data[address - start : address - start + size]
    return None


def probe_read(env: Environment, to: Value, size: Value, source: Value) -> Value:
    room = size_of(size, "the size")
    if isinstance(source, Pointer):
        found: bytes | None = source.place.read(source.offset, room)
    else:
        found = _foreign(env, number(source, "the address"), room)
    if found is None or len(found) < room:
        fill(to, bytes(room), "the buffer")
        return -EFAULT
    fill(to, found, "the buffer")
    return 0


def probe_read_str(env: Environment, to: Value, size: Value, source: Value) -> Value:
    room = size_of(size, "the size")
    if room == 0:
        return 0
    if isinstance(source, Pointer):
        found: bytes | None = text_of(source) + b"\0"
    else:
        found = _foreign(env, number(source, "the address"), room)
    if found is None:
        fill(to, bytes(room), "the buffer")
        return -EFAULT
    text = found.partition(b"\0")[0][: room - 1] + b"\0"
    fill(to, text, "the buffer")
    return len(text)


def redirect(env: Environment, interface: Value, flags: Value) -> Value:
    env.redirected = ("", number(interface, "the interface") & U32, number(flags, "the flags"))
    return env.redirect_code


def redirect_map(env: Environment, where: Value, key: Value, flags: Value) -> Value:
    place = map_of(where, frozenset({MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.CPUMAP, MapType.XSKMAP}))
    index, how = number(key, "the key"), number(flags, "the flags")
    if index > U32 or place.lookup(index.to_bytes(4, env.order)) is None:
        return how & 3
    env.redirected = (place.name, index, how)
    return env.redirect_code


def xdp_adjust_head(env: Environment, ctx: Value, delta: Value) -> Value:
    move, data, meta = integer(delta, "the distance"), env.packet_bytes(), bytes(env.packet.data[: env.packet.start])
    if -move > env.headroom - len(meta) or len(data) - move < ETHERNET_HEADER:
        return -EINVAL
    env.headroom += move
    env.replace_packet(bytes(-move) + data if move < 0 else data[move:], meta, "xdp_adjust_head has moved the packet's start")
    return 0


def xdp_adjust_tail(env: Environment, ctx: Value, delta: Value) -> Value:
    move, data, meta = integer(delta, "the distance"), env.packet_bytes(), bytes(env.packet.data[: env.packet.start])
    if len(data) + move < ETHERNET_HEADER:
        return -EINVAL
    resized = data[:move] if move < 0 else data + bytes(move)
    env.replace_packet(resized, meta, "xdp_adjust_tail has moved the packet's end")
    return 0


def xdp_adjust_meta(env: Environment, ctx: Value, delta: Value) -> Value:
    move, data, meta = integer(delta, "the distance"), env.packet_bytes(), bytes(env.packet.data[: env.packet.start])
    size = len(meta) - move
    if size % 4 or not 0 <= size <= min(252, env.headroom):
        return -EINVAL
    env.replace_packet(data, bytes(-move) + meta if move < 0 else meta[move:], "xdp_adjust_meta has moved the metadata's start")
    return 0


def xdp_load_bytes(env: Environment, ctx: Value, offset: Value, to: Value, size: Value) -> Value:
    start, room, data = number(offset, "the offset") & U32, size_of(size, "the size"), env.packet_bytes()
    if start + room > len(data):
        return -EINVAL
    fill(to, data[start : start + room], "the buffer")
    return 0


def xdp_store_bytes(env: Environment, ctx: Value, offset: Value, source: Value, size: Value) -> Value:
    start, new = number(offset, "the offset") & U32, bytes_of(source, size_of(size, "the size"), "the bytes")
    if start + len(new) > len(env.packet_bytes()):
        return -EINVAL
    at = env.packet.start + start
    env.packet.data[at : at + len(new)] = new
    return 0


def skb_load_bytes(env: Environment, ctx: Value, offset: Value, to: Value, size: Value) -> Value:
    start, room, data = number(offset, "the offset") & U32, size_of(size, "the size"), env.packet_bytes()
    inside = start + room <= len(data)
    fill(to, data[start : start + room] if inside else bytes(room), "the buffer")
    return 0 if inside else -EFAULT


def skb_store_bytes(env: Environment, ctx: Value, offset: Value, source: Value, size: Value, flags: Value) -> Value:
    start, data = number(offset, "the offset") & U32, env.packet_bytes()
    new = bytes_of(source, size_of(size, "the size"), "the bytes")
    if start + len(new) > len(data):
        return -EFAULT
    meta = bytes(env.packet.data[: env.packet.start])
    env.replace_packet(data[:start] + new + data[start + len(new) :], meta, "skb_store_bytes may have moved the packet")
    return 0


def called(value: Value) -> Callee:
    place = pointer(value, "the callback").place
    if not isinstance(place, Callee):
        raise IrRuntimeError(f"a subprogram is wanted, not a pointer to {value}")
    return place


def goes_on(answer: Value | None) -> bool:
    """Whether a callback's result asks for more."""
    number = integer(answer if answer is not None else 0, "the callback's result")
    if number not in (0, 1):
        raise IrRuntimeError(f"a callback gives 0 or 1, not {number}")
    return number == 0


def loop(env: Environment, count: Value, callback: Value, context: Value, flags: Value) -> Value:
    trips = number(count, "the count") & U32
    if number(flags, "the flags"):
        return -EINVAL
    if trips > MOST_LOOPS:
        return -E2BIG
    for index in range(trips):
        if not goes_on(called(callback).call([index, context])):
            return index + 1
    return trips


def for_each_map_elem(env: Environment, where: Value, callback: Value, context: Value, flags: Value) -> Value:
    place = map_of(where)
    if number(flags, "the flags"):
        return -EINVAL
    visited = 0
    for key, value in place.walk():
        visited += 1
        data = Memory("mem", "key", key, writable=False, big_endian=env.big_endian)
        again = goes_on(called(callback).call([where, Pointer(data), Pointer(value), context]))
        data.gone = "the callback has returned"
        if not again:
            break
    return visited


def xdp_get_buff_len(env: Environment, ctx: Value) -> Value:
    return len(env.packet_bytes())


def spin_lock(env: Environment, lock: Value) -> Value:
    return 0


def spin_unlock(env: Environment, lock: Value) -> Value:
    return 0


def model(function: Callable[..., Value]) -> Model:
    """The helper with its number of arguments checked."""
    code = function.__code__
    least, any_more = code.co_argcount - 1, bool(code.co_flags & 0x04)  # CO_VARARGS

    def checked(env: Environment, args: Sequence[Value]) -> Value:
        if len(args) < least or (len(args) > least and not any_more):
            raise IrRuntimeError(f"`{function.__name__}` takes {least} arguments, not {len(args)}")
        return function(env, *args)

    return checked


HELPERS: dict[str, Model] = {
    function.__name__: model(function)
    for function in (
        *(map_lookup_elem, map_update_elem, map_delete_elem, tail_call),
        *(ktime_get_ns, get_prandom_u32, get_smp_processor_id, get_current_pid_tgid, get_current_uid_gid, get_current_comm),
        *(trace_printk, trace_vprintk, perf_event_output, ringbuf_output, ringbuf_reserve, ringbuf_submit, ringbuf_discard),
        *(probe_read, probe_read_str, redirect, redirect_map, xdp_adjust_head, xdp_adjust_tail, xdp_adjust_meta),
        *(
            xdp_load_bytes,
            xdp_store_bytes,
            skb_load_bytes,
            skb_store_bytes,
            loop,
            for_each_map_elem,
            spin_lock,
            spin_unlock,
            xdp_get_buff_len,
        ),
    )
}
HELPERS |= {f"ktime_get_{clock}_ns": HELPERS["ktime_get_ns"] for clock in ("boot", "coarse", "tai")}
HELPERS |= {f"probe_read_{space}": HELPERS["probe_read"] for space in ("user", "kernel")}
HELPERS |= {f"probe_read_{space}_str": HELPERS["probe_read_str"] for space in ("user", "kernel")}
HELPERS |= {f"{program}_output": HELPERS["perf_event_output"] for program in ("skb", "xdp")}
