"""Names of maps that stand for data sections: what libbpf and bpftool call them, in whose words people look for them.

A section's own name says too little where several objects are loaded, so the object's name is in front of the plain ones
(`.data`, `.rodata`, `.bss`, `.kconfig`): all together 15 characters, as many as the kernel keeps, 8 of them the object's.
"""

from __future__ import annotations

import re

PLAIN = (".data", ".rodata", ".bss", ".kconfig")
LONGEST, OF_THE_SECTION = 15, 7


def map_name(object: str, name: str) -> str:
    """What a map is called: its name, or for a plain data section that with the beginning of the object's name."""
    if name not in PLAIN:
        return name
    room = LONGEST - max(OF_THE_SECTION, len(name))
    return re.sub(r"[^A-Za-z0-9_.]", "_", object[:room] + name)
