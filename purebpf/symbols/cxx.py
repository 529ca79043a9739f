"""Names of C++ (and of older Rust) as they were written, by the C++ library's own function, where that library is installed."""

from __future__ import annotations

import ctypes
from functools import cache, lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MARK = "_Z"  # which mangled names begin with (Itanium C++ ABI)
LIBRARIES = ("libstdc++.so.6", "libc++abi.so.1")


def readable(name: str) -> str:
    """`std::string::append(char const*)` for `_ZNSs6appendEPKc`; any other name, and one that makes no sense, as it is."""
    return _written(name) if name.startswith(MARK) else name


@lru_cache(maxsize=1 << 14)
def _written(name: str) -> str:
    functions = _functions()
    if functions is None:
        return name
    demangle, free = functions
    status = ctypes.c_int(0)
    text = demangle(name.encode("utf-8", "replace"), None, None, ctypes.byref(status))
    if not text:
        return name
    try:
        return ctypes.string_at(text).decode("utf-8", "replace")
    finally:
        free(text)


@cache
def _functions() -> tuple[Any, Any] | None:
    """(__cxa_demangle, free); None without a C++ library."""
    for library in LIBRARIES:
        try:
            demangle: Any = ctypes.CDLL(library).__getattr__("__cxa_demangle")
            free: Any = ctypes.CDLL(None).free
        except (OSError, AttributeError):
            continue
        demangle.restype = ctypes.c_void_p
        demangle.argtypes = (ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        free.restype, free.argtypes = None, (ctypes.c_void_p,)
        return demangle, free
    return None
