"""What to write instead of what Python programmers write by habit: one line for each, with the author's own names in it."""

from __future__ import annotations

import ast
import re
import sys
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from purebpf.compiler.frontend.values import Bound, Const, Context, Fill, IntValue, Packet, Ref, Value
from purebpf.lang.maps import Held, MapDeclaration, PerfEventArray, ProgArray
from purebpf.lang.rings import RingBuf
from purebpf.lang.types import ArrayType, BytesType, CharsType, IntType, StructType
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    from purebpf.compiler.frontend.lower import Lowering

READ = "reads the packet; test what it gives for None"
EACH_BYTE = "`for i in range(len({packet})):`, `byte = {packet}.at(i, u8)`, and leave when it is None"
NO_TEXTS = "a program makes no new texts: send the parts in a record, and put them together in user space"
SENT = ("append", "emit", "output", "perf_submit", "publish", "push", "put", "send", "submit", "write")
MAP_METHODS = {
    "keys": "`for key in {m}:` goes over the keys",
    "values": "`for value in {m}.values():` goes over the values",
    "items": "`for key, value in {m}.items():` goes over the entries",
    "clear": "`for key in {m}:`, `del {m}[key]`",
    "has_key": "`{k} in {m}`",
    "__contains__": "`{k} in {m}`",
    **dict.fromkeys(("update", "update_elem", "insert", "put", "add", "store"), "`{m}[{k}] = {v}`"),
    **dict.fromkeys(("lookup", "lookup_elem", "find", "read"), "`{m}.get({k})` gives the value or None"),
    **dict.fromkeys(("remove", "delete_elem", "discard"), "`del {m}[{k}]`"),
    **dict.fromkeys(("increment", "incr", "inc", "atomic_increment"), "`{m}[{k}] += 1`"),
    **dict.fromkeys(("setdefault", "lookup_or_init", "lookup_or_try_init"), "`if {k} not in {m}:`, `{m}[{k}] = {v}`"),
    **dict.fromkeys(("sum", "sums"), "add up in user space: a program sees one CPU's values only"),
}
TEXT_METHODS = {
    **dict.fromkeys(("find", "index", "count", "rfind"), 'a program can ask for one text inside another: `"a" in text`'),
    "endswith": 'a program can ask for the start, `text.startswith("a")`, and for a part, `"a" in text`',
}
ARRAYS = (MapType.ARRAY, MapType.PERCPU_ARRAY)
READ_TEXT = ("bpf.read_kernel_str({})", "bpf.read_user_str({})")
READ_VALUE = ("bpf.read_kernel({}, T)", "bpf.read_user({}, T)")
OF_PROCESSES = (  # programs whose addresses are a process's: the parameters of its calls
    "tracepoint", "uprobe", "uretprobe", "uprobe_session", "usdt", "ksyscall", "kretsyscall", "perf_event",
)  # fmt: skip
PACKET_SIZES = ("len", "length", "size", "data_len", "__len__")


def shown(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.expr) else "..."


def indexed(node: ast.Subscript, base: Value) -> str:
    """Of something that has no `[...]`."""
    where = shown(node.value)
    match base:
        case Packet() if isinstance(node.ctx, ast.Store):
            return f"assign a header's field: `eth = {where}.at(0, Ethernet)`, and where it is there `eth.dst = ...`"
        case Packet() if isinstance(node.slice, ast.Slice):
            start = shown(node.slice.lower) if node.slice.lower else "0"
            return f"`{where}.at({start}, T)` with a @bpf.struct `T` that has these bytes; test what it gives for None"
        case Packet():
            return f"`{where}.at({shown(node.slice)}, u8)` {READ}"
        case Ref(type=StructType() as type) if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            return f"a field is an attribute: `{where}.{node.slice.value}`" if type.field(node.slice.value) else ""
        case Const(bytes()):
            return "bytes are a constant: `bpf.bytes(n)` makes memory of the function's own"
        case Const(MapDeclaration() as declaration):
            return _send(declaration, where, "record")
        case Bound(receiver=Packet()):
            return f"`{where.rpartition('.')[0]}.at(offset, T)` {READ}"
    return ""


def walked(node: ast.expr, value: Value) -> str:
    """Of something that no `for` goes over."""
    match value:
        case Packet():
            return EACH_BYTE.format(packet=shown(node))
        case Const(int()) | IntValue():
            return f"`for i in range({shown(node)}):`"
        case Ref(type=StructType(fields=fields)) if fields:
            return f"take its fields one by one: `{shown(node)}.{fields[0].name}`"
        case Const(MapDeclaration()):
            return "only hashes and arrays can be gone over"
    return "`for i in range(n):`"


def printed(node: ast.AST, value: Value) -> str:
    """Of something that the kernel cannot print."""
    name = shown(node)
    match value:
        case Const(MapDeclaration()):
            return f"print one value: `{{{name}.get(key, 0)}}`; the whole map in user space: `print(dict({name}.items()))`"
        case Ref(type=StructType(fields=fields)) if fields:
            first = next((field for field in fields if isinstance(field.type, IntType | CharsType)), fields[0])
            return f"print its fields: `{{{name}.{first.name}}}`"
        case Ref(type=ArrayType() | BytesType()) | Const(bytes()):
            return f"print its items: `{{{name}[0]:x}}`"
        case Packet():
            return f"print its size, `{{len({name})}}`, or what `{name}.at(offset, T)` gives"
        case Context():
            return f"print its fields: `{{{name}.field}}`"
    return ""


def of_the_packet(node: ast.Attribute) -> str:
    """Of an attribute that the packet does not have."""
    where = shown(node.value)
    return f"`len({where})` is its size" if node.attr in PACKET_SIZES else f"`{where}.at(offset, T)` {READ}"


def method(node: ast.Call, receiver: Value, name: str) -> str:
    """Of a method that something does not have in a program."""
    assert isinstance(node.func, ast.Attribute)
    where, given = shown(node.func.value), [shown(argument) for argument in node.args]
    match receiver:
        case Const(MapDeclaration() as declaration):
            return _of_a_map(declaration, where, name, given)
        case Const(str()) if name == "format":
            return 'print with an f-string: `bpf.printk(f"{n}")`'
        case Const(str()) | Ref(type=CharsType()) | Fill():
            return TEXT_METHODS.get(name, NO_TEXTS)
    return ""


def _of_a_map(declaration: MapDeclaration, where: str, name: str, given: list[str]) -> str:
    if isinstance(declaration, RingBuf | PerfEventArray | ProgArray | Held):
        return _send(declaration, where, ", ".join(given) or "record") if name in SENT else ""
    if declaration.kind in ARRAYS and name in ("pop", "clear", "remove", "delete_elem", "discard"):
        return f"all entries of an array always exist: `{where}[{given[0] if given else 'i'}] = 0`"
    words = dict(zip("kv", given, strict=False))
    return MAP_METHODS.get(name, "").format(m=where, k=words.get("k", "key"), v=words.get("v", "value"))


def _send(declaration: MapDeclaration, where: str, given: str) -> str:
    if isinstance(declaration, RingBuf | PerfEventArray):
        return f"`{where}.{'emit' if isinstance(declaration, RingBuf) else 'output'}({given})`"
    return ""


def is_text(value: Value) -> bool:
    match value:
        case Const(str()) | Ref(type=CharsType()) | Fill(type=CharsType()):
            return True
    return False


def text_operation(cx: Lowering, node: ast.AST, symbol: str, left: Value, right: ast.AST) -> NoReturn:
    """`"%d" % n`, `name + "x"`: refused."""
    if symbol == "%":
        cx.fail(node, "a text cannot be formatted by `%` in a program", hint=formatted(getattr(left, "value", None), right))
    what = "joined" if symbol == "+" else f"changed by `{symbol}`"
    cx.fail(node, f"texts cannot be {what} in a program", hint=f'{NO_TEXTS}; `bpf.printk(f"...")` prints several')


def formatted(text: Any, right: ast.AST) -> str:
    """`text % values` as an f-string."""
    values = right.elts if isinstance(right, ast.Tuple) else [right]
    names = [shown(value) for value in values]
    if isinstance(text, str) and len(re.findall("%(?!%)", text)) == len(names):
        written = iter(names)
        made = re.sub(r"%0?(\d*)l*([a-zA-Z])", lambda m: f"{{{next(written, '')}{_spec(m)}}}", text)
        return f"print with an f-string: `bpf.printk(f{made!r})`".replace("'", '"')
    return 'print with an f-string: `bpf.printk(f"{n}")`'


def _spec(match: re.Match[str]) -> str:
    letter = match[2] if match[2] in "xX" else ""
    width = match[0][1:-1] if match[1] else ""
    return f":{width}{letter}" if letter or width else ""


def scaled(number: float | complex) -> str:
    """Of a number that is no integer."""
    if isinstance(number, complex):
        return "integers are all there is"
    whole = Fraction(str(number)) if abs(number) < 1e18 else None
    part = whole if whole is None or whole.denominator <= 10**12 else whole.limit_denominator(1000)
    if part is None or part.denominator == 1:
        return f"write an integer: `{round(number)}`" if abs(number) < 1e18 else "scale to integers"
    times = "" if part.numerator == 1 else f" * {part.numerator}"
    return f"scale to integers: `n{times} // {part.denominator}` is `n * {number}`"


def compared(value: Value, other: Value) -> str:
    """Of a comparison of things that never are equal; `value` is the constant one."""
    match value, other:
        case Const(str() as text), IntValue() if _address(text) is not None:
            return f"an address is a number: `int(ipaddress.ip_address({text!r}))`".replace("'", '"')
        case Const(str() as text), Ref(type=BytesType()) if re.fullmatch("(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}", text):
            return f'compare with bytes: `bytes.fromhex("{re.sub("[:-]", "", text)}")` at module level'
        case Const(bytes() as data), Packet():
            return f"read the bytes first: a @bpf.struct with a field of `bpf.bytes({len(data)})`, and `.at(0, T)`"
        case Const(IPv4Address() | IPv6Address()), IntValue():
            return "an address is a number: `int(address)`"
    return ""


def _address(text: str) -> object:
    import ipaddress

    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def looked_into(left: ast.AST, container: Value) -> str:
    """Of something that `in` cannot look into."""
    match container:
        case Const(IPv4Network() | IPv6Network() as network):
            mask, address = int(network.netmask), int(network.network_address)
            return f"`{shown(left)} & {mask:#x} == {address:#x}`"
        case Packet():
            return "read the bytes that you mean by `.at(offset, T)`"
    return ""


def not_defined(name: str, module: dict[str, Any]) -> str:
    """Of a name that nobody defines: where it could come from."""
    import purebpf
    from purebpf import net

    alias = next((key for key, value in module.items() if value is purebpf), None)
    if hasattr(purebpf, name):
        return f"`{alias}.{name}`" if alias is not None else f"import it at module level: `from purebpf import {name}`"
    if hasattr(net, name) and not name.startswith("_"):
        return f"import it at module level: `from purebpf.net import {name}`"
    return f"import it at module level: `import {name}`" if name in sys.stdlib_module_names else ""


WHOLE_MAP = {
    len: "count the entries with a variable of a `@bpf.globals` class, or in user space: `len({m})`",
    **dict.fromkeys((sorted, list, tuple, dict, set, frozenset, str, repr), "in user space: `{f}({m}.items())`"),
}


def check_arguments(cx: Lowering, node: ast.Call, function: Any, arguments: list[Value]) -> None:
    """Refuse to hand a map or the packet to a function of Python's own."""
    for at, value in zip(node.args, arguments, strict=False):
        if isinstance(value, Const) and isinstance(value.value, MapDeclaration):
            name = shown(node.func)
            hint = next((text for known, text in WHOLE_MAP.items() if known is function), "").format(m=shown(at), f=name)
            cx.fail(node, f"`{name}` cannot go over a map in a program", hint=hint or "look up entries: `m.get(key)`")
        if isinstance(value, Packet):
            name, _, method = shown(node.func).rpartition(".")
            hint = constructed(node, name) if method == "from_bytes" else EACH_BYTE.format(packet=shown(at))
            cx.fail(node, f"`{shown(node.func)}` cannot take the packet", hint=hint)


def constructed(node: ast.Call, type: str) -> str:
    """Of a record that is made of something else than its fields."""
    if len(node.args) == 1 and shown(node.args[0]).endswith("packet"):
        return f"`{shown(node.args[0])}.at(0, {type})` reads one from the packet, or gives None"
    return ""


def packet_type(node: ast.Call) -> str:
    """Of a call of `at` whose second argument is no type."""
    where, (first, second) = shown(node.func), node.args
    if isinstance(second, ast.Constant | ast.Name) and isinstance(first, ast.Name) and first.id[:1].isupper():
        return f"`{where}({shown(second)}, {shown(first)})`"
    if isinstance(second, ast.Call) or shown(second) in ("bytes", "str"):
        return f"raw bytes are a field: a @bpf.struct `T` with `data: bytes = bpf.bytes(6)`, and `{where}({shown(first)}, T)`"
    return f"`{where}(14, IPv4)`, `{where}(0, u16)`"


def at_an_address(cx: Lowering, node: ast.AST, text: bool = True) -> str:
    """Of a number where a text or an array is wanted: in an event, mostly the address of one."""
    if cx.unit.kind.packet:
        return ""
    kernel, user = (f"`{read.format(shown(node))}`" for read in (READ_TEXT if text else READ_VALUE))
    if cx.unit.kind.decorator in OF_PROCESSES:
        return f"what lies at a user-space address is {user}"
    return f"what lies at an address in the kernel is {kernel}, in a process {user}"


def size_of(cx: Lowering, node: ast.AST, value: Value) -> str:
    """Of something that has no `len()`."""
    match value:
        case IntValue() if isinstance(node, ast.Attribute):
            return at_an_address(cx, node)
        case Ref(type=StructType() as type):
            return f"its size in bytes is `bpf.sizeof({type})`, {type.size}"
    return ""


def dotted(name: str, module: dict[str, Any]) -> str:
    """A constant's name with a dot: by a module that has it, as the author calls it."""
    import purebpf
    from purebpf import net

    for key, value in module.items():
        if isinstance(value, ModuleType) and not key.startswith("_"):
            for home, way in ((value, key), (net, f"{key}.net") if value is purebpf else (None, "")):
                if getattr(home, name, None) is not None and getattr(home, name) == module.get(name):
                    return f"{way}.{name}"
    return f"module.{name}"


def cannot_run(value: Any) -> str:
    """Of a function that is not written in Python, or that belongs to an object."""
    if isinstance(getattr(value, "__self__", None), ModuleType):
        return "it is not written in Python: write one with integers, or compute it at module level"
    return "a method of a Python object cannot run in the kernel: write a plain function"
