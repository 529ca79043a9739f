"""Programs on probes that programs and libraries have themselves (USDT): a uprobe at each place of the probe.

While it is attached the kernel counts up the probe's semaphore in every process, where it has one (ref_ctr_offset, Linux 4.20):
many programs compute the arguments only then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from purebpf.binaries.files import find_binary
from purebpf.binaries.usdt import Site, probe_sites, specification, specifications
from purebpf.errors import Error
from purebpf.kernel.link.base import KernelLink
from purebpf.kernel.link.options import Options
from purebpf.kernel.link.probes import Probe, attach_probe
from purebpf.kernel.link.uprobe import REASONS
from purebpf.kernel.program import KernelProgram
from purebpf.lang.usdt import COOKIE_BITS, LARGEST_COOKIE

MOST_PLACES = 512
Numbers = Callable[[str, tuple[Site, ...], int], Callable[[Site], int]]
OPTIONS = {
    "probe": "the probe as 'binary:provider:name', when the program does not name it itself",
    "pid": "the process to probe, 0 for this one (without it: all that have the file mapped)",
    "cookie": "a number that bpf.cookie() returns, below 2**48 (Linux 5.15)",
}


def attach(program: KernelProgram, given: Mapping[str, object]) -> KernelLink:
    """Raises Error for a file or probe that is not there, with similar names."""
    return attach_places(program, given, _numbers)


def _numbers(path: str, sites: tuple[Site, ...], cookie: int) -> Callable[[Site], int]:
    """What programs of ours expect as a place's cookie: the user's, and how the place has its arguments."""
    ways = specifications(sites)
    if not 0 <= cookie <= LARGEST_COOKIE:
        raise Error(f"Attaching a USDT probe got cookie={cookie}, which is not below 2**48.")
    return lambda site: cookie << COOKIE_BITS | specification(site, ways)


def attach_places(program: KernelProgram, given: Mapping[str, object], numbers: Numbers) -> KernelLink:
    """Attach to all places of a probe. `numbers` takes the file, the places and the user's cookie, and gives a function that
    tells each place's own."""
    options = Options("USDT probe", given, OPTIONS)
    binary, provider, name = _named(options, options.text("probe", program.spec.attach_to))
    path = find_binary(binary)
    sites = probe_sites(path, provider, name)
    pid = options.number("pid", -1)
    if len(sites) > MOST_PLACES:
        raise Error(f"The probe {provider}:{name} of {path} is at {len(sites)} places, and at most {MOST_PLACES} are probed.")
    number = numbers(path, sites, options.number("cookie", 0))
    links: list[KernelLink] = []

    def detach() -> None:
        while links:
            links.pop().close()

    try:
        for site in sites:
            where = Probe("uprobe", path, site.offset, False, f"{binary}:{provider}:{name}", site.semaphore)
            links.append(attach_probe(program, where, os.getpid() if pid == 0 else pid, number(site), reasons=REASONS))
    except BaseException:
        detach()
        raise
    if len(links) == 1:
        links[0].mechanism = f"usdt, {links[0].mechanism.partition(', ')[2]}"
        return links[0]
    return KernelLink(f"usdt at {len(sites)} places, {links[0].mechanism.partition(', ')[2]}", (), detach)


def _named(options: Options, text: str) -> tuple[str, str, str]:
    """Binary, provider and name of a probe."""
    parts = text.rsplit(":", 2)
    if len(parts) != 3 or not all(parts):
        raise options.wrong(
            f"needs the option 'probe' as 'binary:provider:name', as the program itself names {text or 'none'!r}"
        )
    return parts[0], parts[1], parts[2]
