"""Programs for the probes that programs and libraries have themselves, as libbpf's header usdt.bpf.h makes them.

The header has a map of specifications: where a place of a probe has its arguments. A program finds the right one by the cookie
of the uprobe that it runs for (Linux 5.15), and there also the user's cookie.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from purebpf.binaries.usdt import Argument, Site, arguments, specification, specifications
from purebpf.errors import Error, Unsupported
from purebpf.spec import ProgramSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.engine import EngineLink
    from purebpf.objects.objects import LoadedProgram, Objects

SPECS = "__bpf_usdt_specs"
MOST_ARGUMENTS = 12
KINDS = {"constant": 0, "register": 1, "memory": 2}
COOKIES_SINCE = (5, 15)


def is_for(spec: ProgramSpec) -> bool:
    """Whether a program takes arguments of a probe by that header."""
    return spec.section.partition("/")[0] in ("usdt", "usdt.s") and SPECS in spec.maps


def attach(objects: Objects, program: LoadedProgram, options: Mapping[str, object]) -> EngineLink | None:
    """Attach it, with the specifications of the probe's places written; None in the virtual machine. Raises Error for arguments
    that cannot be told, Unsupported before Linux 5.15."""
    from purebpf.kernel.errors import kernel_version
    from purebpf.kernel.link.usdt import attach_places
    from purebpf.kernel.program import KernelProgram

    raw = program.raw
    if not isinstance(raw, KernelProgram):
        return None
    if kernel_version() < COOKIES_SINCE:
        raise Unsupported(f"The program {program.name!r} finds its probe's arguments by cookies, which Linux 5.15 brought.")

    def numbers(path: str, sites: tuple[Site, ...], cookie: int) -> Callable[[Site], int]:
        ways = specifications(sites)
        first = {specification(site, ways): site for site in reversed(sites)}
        ids = [_written(objects, path, first[way], cookie) for way in range(len(ways))]
        return lambda site: ids[specification(site, ways)]

    return attach_places(raw, options, numbers)


def _written(objects: Objects, path: str, site: Site, cookie: int) -> int:
    """The number of a specification in the map; equal ones have one."""
    found = arguments(path, site, os.uname().machine)
    told = [_argument(each) for each in found]
    if len(told) > MOST_ARGUMENTS:
        raise Error(f"A probe of {path} has {len(told)} arguments; the object has room for {MOST_ARGUMENTS}.")
    spec: dict[str, object] = {"args": told, "usdt_cookie": cookie, "arg_cnt": len(told)}
    known = objects.usdt_specs
    if spec not in known:
        most = objects.maps[SPECS].spec.max_entries
        if len(known) >= most:
            raise Error(
                f"The object has room for {most} different places of probes (BPF_USDT_MAX_SPEC_CNT), and all are taken."
            )
        objects.maps[SPECS][len(known)] = spec
        known.append(spec)
    return known.index(spec)


def _argument(found: Argument | str) -> dict[str, object]:
    """An argument as the header's struct has it."""
    if isinstance(found, str):
        raise Error(f"An argument of the probe cannot be told to the program: {found}.")
    plain: dict[str, object] = {
        "val_off": found.value % (1 << 64) if found.kind != "register" else 0,
        "arg_type": KINDS[found.kind],
        "reg_off": found.base,
        "arg_signed": found.signed,
        "arg_bitshift": 64 - 8 * found.size,
    }
    if found.kind == "register" and found.value:
        raise Error("An argument of the probe is in the second byte of a register, which the object's programs cannot read.")
    if found.index is None:
        return plain
    # Headers since libbpf 1.7 have a register more; on others the map says that there is no such member.
    scale = found.scale.bit_length() - 1
    return {**plain, "arg_type": 3, "idx_reg_off": found.index, "scale_bitshift": scale}
