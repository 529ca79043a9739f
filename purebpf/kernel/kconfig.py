"""Values of the kernel's configuration, for objects that ask for them by name (`extern ... __kconfig`).

From /proc/config.gz (CONFIG_IKCONFIG_PROC), or the file that distributions put beside the kernel. Three names are no options:
the kernel's version, and two things that it has or has not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from purebpf.btf.reader import Btf
from purebpf.btf.types import Array, Enum, Int
from purebpf.errors import Error, Unsupported
from purebpf.kernel.errors import kernel_version
from purebpf.spec import VariableSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.isa.codec import ByteOrder

PLACES = ("/proc/config.gz", "/boot/config-{}", "/lib/modules/{}/config", "/usr/lib/modules/{}/config")
PREFIX = "CONFIG_"
TRISTATE = "libbpf_tristate"
STATES = {"n": 0, "y": 1, "m": 2}
COOKIES_SINCE = (5, 15)
SYMBOLS = "/proc/kallsyms"
WRAPPER = re.compile(rb" __(?!se_|do_)[a-z0-9]+_sys_bpf$", re.MULTILINE)


def kconfig(variables: Iterable[VariableSpec], btf: Btf, order: ByteOrder) -> bytes:
    """The bytes of the map that holds these variables. Raises Unsupported for one that the kernel does not have, unless it is
    weak; Error for a value that its type cannot hold."""
    wanted = list(variables)
    out = bytearray(max((each.offset + each.size for each in wanted), default=0))
    options = _options({each.name for each in wanted if each.name.startswith(PREFIX)})
    for each in wanted:
        text = options.get(each.name) if each.name.startswith(PREFIX) else _known(each)
        if text is None:
            if not each.weak:
                raise Unsupported(f"The object asks for {each.name}, which this kernel does not have: {_why(each.name)}.")
            continue
        out[each.offset : each.offset + each.size] = _encoded(each, text, btf, order)
    return bytes(out)


def _why(name: str) -> str:
    if not name.startswith(PREFIX):
        return "LINUX_KERNEL_VERSION, LINUX_HAS_BPF_COOKIE and LINUX_HAS_SYSCALL_WRAPPER are known beside options"
    path = _place()
    return f"{path} does not set it" if path else f"its configuration is not in {', '.join(_places())}"


def _known(variable: VariableSpec) -> str | None:
    """What is no option: a number as text."""
    if variable.name == "LINUX_KERNEL_VERSION":
        return str(_version_code())
    if variable.name == "LINUX_HAS_BPF_COOKIE":
        return str(int(kernel_version() >= COOKIES_SINCE))
    if variable.name == "LINUX_HAS_SYSCALL_WRAPPER":
        return str(int(_has_wrappers()))
    return None


def _version_code() -> int:
    """KERNEL_VERSION(major, minor, patch), the last at most 255."""
    numbers = [*os.uname().release.split("-")[0].split("+")[0].split("."), "0", "0"][:3]
    major, minor, patch = (int("".join(c for c in each if c.isdigit()) or 0) for each in numbers)
    return major << 16 | minor << 8 | min(patch, 255)


def _has_wrappers() -> bool:
    """Whether system calls have functions with the machine in their names, such as `__x64_sys_bpf`."""
    try:
        with open(SYMBOLS, "rb") as file:
            return WRAPPER.search(file.read()) is not None
    except OSError:
        return False


def _places() -> list[str]:
    return [place.format(os.uname().release) for place in PLACES]


def _place() -> str:
    return next((place for place in _places() if os.path.exists(place)), "")


def _options(names: set[str]) -> dict[str, str]:
    """Those of the named options that are set, as they are written."""
    path = _place() if names else ""
    if not path:
        return {}
    try:
        with open(path, "rb") as file:
            raw = file.read()
        if path.endswith(".gz"):
            import zlib

            raw = zlib.decompress(raw, wbits=31)
    except (OSError, ValueError) as error:
        raise Error(f"The kernel's configuration {path} cannot be read: {error}.") from error
    rows = (line.partition("=") for line in raw.decode("utf-8", "replace").splitlines() if line.startswith(PREFIX))
    return {name: value for name, _, value in rows if name in names}


def _encoded(variable: VariableSpec, text: str, btf: Btf, order: ByteOrder) -> bytes:
    """The value as bytes of the variable's type."""
    type = btf.type(btf.resolve(variable.type))
    if isinstance(type, Array):
        if not text.startswith('"'):
            raise _unfit(variable, text, "a text")
        return text.strip('"').encode()[: variable.size - 1].ljust(variable.size, b"\0")
    if text in STATES:
        return _state(variable, text, type, order)
    if not isinstance(type, Int) or (type.bool and text not in ("0", "1")):
        raise _unfit(variable, text, "such a value")
    try:
        return int(text, 0).to_bytes(variable.size, order, signed=type.signed)
    except (ValueError, OverflowError):
        raise _unfit(variable, text, f"a number of {variable.size} bytes") from None


def _state(variable: VariableSpec, text: str, type: object, order: ByteOrder) -> bytes:
    """An option that is on, off or a module: as a truth value, a `libbpf_tristate`, or the very letter."""
    if isinstance(type, Enum) and type.name == TRISTATE:
        return STATES[text].to_bytes(variable.size, order)
    if isinstance(type, Int) and type.bool and text != "m":
        return STATES[text].to_bytes(variable.size, order)
    if isinstance(type, Int) and not type.bool and type.size == 1:
        return text.encode()
    raise _unfit(variable, text, "a bool, a char or an enum libbpf_tristate")


def _unfit(variable: VariableSpec, text: str, what: str) -> Error:
    return Error(f"The object's {variable.name} is to hold {text!r}, but its type is not for {what} of {variable.size} bytes.")
