"""Object files from Debian's packages: as they are, and those that programs carry inside.

They come by `apt-get download`, which checks signatures and installs nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from struct import unpack_from

PACKAGES = ("golang-github-cilium-ebpf-dev", "libxdp1", "libbpf-tools")
OBJECT = b"\x7fELF\x02\x01\x01"  # 64 bits, little-endian
EM_BPF = 247


class Missing(Exception):
    """A tool or a package that is not to be had here; the text says which."""


def fetched(place: Path) -> dict[str, Path]:
    """The objects in all packages, unpacked into a folder unless they are there. Raises Missing."""
    for package in PACKAGES:
        if not (place / package).exists():
            _fetch(place, package)
    return {
        f"{path.parent.name}-{path.name}": path
        for package in PACKAGES
        for path in sorted((place / package).rglob("*"))
        if path.suffix in (".o", ".elf")
    }


def _fetch(place: Path, package: str) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Missing(f"this is no Debian: apt-get is needed to fetch {package}")
    new = place / f"{package}.{os.getpid()}"
    new.mkdir(parents=True)
    try:
        command = ["apt-get", "download", package]
        done = subprocess.run(command, cwd=new, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise Missing(f"apt-get cannot fetch {package}: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
        (archive,) = new.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(archive), str(new)], check=True)
        archive.unlink()
        for path in sorted(new.rglob("*")):
            if path.parent.name in ("bin", "sbin") and path.is_file() and not path.is_symlink():
                _unpack(path)
        new.rename(place / package)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _unpack(program: Path) -> None:
    """Write the first eBPF object that a program carries inside beside it, as `program.o`."""
    raw, at = program.read_bytes(), 0
    while (at := raw.find(OBJECT, at + 1)) > 0:
        machine, sections, count = (
            unpack_from(kind, raw, at + place)[0] for kind, place in (("<H", 18), ("<Q", 40), ("<H", 60))
        )
        if machine == EM_BPF:
            program.with_suffix(".o").write_bytes(raw[at : at + sections + 64 * count])  # the headers of sections are last
            return
