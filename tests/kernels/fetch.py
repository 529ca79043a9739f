"""Get Debian's kernels, unpacked, into a folder of our own.

apt does the work, for it checks signatures; its lists and settings are kept apart in that folder, the system's are not touched
and nothing is installed. `linux-image-amd64` of each suite names the newest kernel of the suite's series. For a machine that
cannot run the host's programs, Python and what it needs come from there too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.kernels.errors import CannotRun
from tests.kernels.machines import MACHINES, PC, Machine

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR = "http://deb.debian.org"
# The suites and their archive. Together they have 5.10, 6.1, 6.12 and the newest kernel that Debian builds.
SUITES = {
    "bullseye": "debian",
    "bullseye-security": "debian-security",
    "bookworm": "debian",
    "trixie": "debian",
    "trixie-backports": "debian",
    "forky": "debian",
}
BUSYBOX = "busybox-static"
# What a guest runs that cannot run the host's: the programs of tests, and Python with what purebpf and its tests import.
PYTHON = ("python3", "python3-click", "python3-rich", "python3-pyroute2", "python3-pytest", "python3-hypothesis")
PROGRAMS = (BUSYBOX, "coreutils", "iproute2", *PYTHON)
PROGRAMS_SUITE = "trixie"
DONE = ".complete"
NEWEST = "newest"
DAY = 24 * 60 * 60.0


@dataclass(frozen=True, slots=True)
class Kernel:
    """An unpacked kernel: `release` is what `uname -r` says in it."""

    release: str
    image: Path
    modules: Path  # the folder with modules.builtin and kernel/
    machine: Machine = PC
    programs: Path | None = None  # a folder to lay over the host's files, where the machine cannot run the host's programs


def numbers(release: str) -> tuple[int, ...]:
    """(5, 10, 0, 46, 64) of 5.10.0-46-amd64: releases in their order."""
    return tuple(int(part) for part in re.findall(r"\d+", release))


def choose(releases: Iterable[str], wanted: str) -> str:
    """The newest release of a series such as 6.1, or of all."""
    releases = sorted(releases, key=numbers)
    found = fitting(releases, wanted)
    if not found:
        raise CannotRun(f"There is no kernel {wanted} to be had; there are: {', '.join(releases) or 'none at all'}.")
    return found[-1]


def fitting(releases: Iterable[str], wanted: str) -> list[str]:
    """Those of a series, in the order given."""
    if wanted == NEWEST:
        return list(releases)
    if not re.fullmatch(r"\d+(\.\d+)*", wanted):
        raise CannotRun(f'"{wanted}" is no kernel series; write one such as 6.1, or "{NEWEST}".')
    series = numbers(wanted)
    return [release for release in releases if numbers(release)[: len(series)] == series]


class Archive:
    """Debian's archive for a kind of machine through apt, with its state in `folder`."""

    def __init__(self, folder: Path, mirror: str = MIRROR, machine: Machine = PC) -> None:
        self.folder = folder.resolve()
        self.machine = machine
        for tool, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg")):
            if not shutil.which(tool):
                raise CannotRun(
                    f"There is no `{tool}` to get kernels with: it is in the package {package} of Debian and its kin."
                )
        if not KEYRING.exists():
            raise CannotRun(f"{KEYRING} is missing, so that packages cannot be checked: install debian-archive-keyring.")
        state = self.folder / "apt"
        for name in ("lists/partial", "cache/archives/partial"):
            (state / name).mkdir(parents=True, exist_ok=True)
        sources = state / "sources.list"
        origin = f"deb [arch={machine.debian} signed-by={KEYRING}] {mirror}"
        sources.write_text("".join(f"{origin}/{archive} {suite} main\n" for suite, archive in SUITES.items()))
        self.options = [
            f"-oDir::Etc::sourcelist={sources}",
            "-oDir::Etc::sourceparts=-",
            f"-oDir::State::Lists={state / 'lists'}",
            f"-oDir::Cache={state / 'cache'}",
            f"-oAPT::Architecture={machine.debian}",
            f"-oAPT::Architectures={machine.debian}",
            "-oAPT::Sandbox::User=",
            "-oAcquire::Languages=none",
        ]

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        done = subprocess.run([command[0], *self.options, *command[1:]], cwd=cwd, capture_output=True, text=True)
        if done.returncode:
            raise CannotRun(f"`{' '.join(command)}` failed; is there a network?\n{done.stderr.strip()}")
        return done.stdout

    def update(self) -> None:
        """Ask what there is, once a day."""
        stamp = self.folder / "apt/updated"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < DAY:
            return
        self._run("apt-get", "-qq", "--error-on=any", "update")
        stamp.touch()

    def releases(self) -> list[str]:
        """Of each suite's newest kernel, as far as apt knows the suites."""
        try:
            packages = self._run("apt-cache", "show", f"linux-image-{self.machine.debian}")
        except CannotRun:  # apt knows no suite yet, and has said so when it looked for them
            return []
        return re.findall(r"^Depends: .*?linux-image-(\d[^ ,]*)", packages, re.M)

    def packages(self, release: str) -> list[str]:
        """The packages that make up a kernel. Up to Debian 13 it is one; then image, modules and the rest are apart."""
        found, queue = [], [f"linux-image-{release}"]
        while queue:
            name = queue.pop()
            if name in found:
                continue
            found.append(name)
            depends = re.findall(r"^ *\|?(?:Pre)?Depends: (linux-\S+)$", self._run("apt-cache", "depends", name), re.M)
            queue += [one for one in depends if one.endswith(f"-{release}")]
        return found

    def unpack(self, packages: list[str], where: Path, then: Callable[[Path], object] = lambda folder: None) -> None:
        """Download packages, unpack them into a folder, and do what else is to be done there: all of it or nothing."""
        part = where.with_name(where.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(where, ignore_errors=True)
        part.mkdir(parents=True)
        self._run("apt-get", "-qq", "download", *packages, cwd=part)
        for package in sorted(part.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package.name, "."], cwd=part, check=True)
            package.unlink()
        then(part)
        (part / DONE).touch()
        part.rename(where)

    def kernel(self, release: str, busybox: Path) -> Kernel:
        """`busybox` is one that runs here."""
        where = self.folder / release
        if not (where / DONE).exists():
            print(f"{release}: downloading", flush=True)
            self.unpack(self.packages(release), where, lambda folder: index(busybox, unpacked(folder, release)))
        return unpacked(where, release)

    def busybox(self) -> Path:
        """A static busybox: the few commands of the guest before it has its root."""
        where = self.folder / BUSYBOX
        if not (where / DONE).exists():
            self.update()
            self.unpack([BUSYBOX], where)
        return busybox_in(where)

    def programs(self) -> Path:
        """`PROGRAMS` with all they need, from one suite: a folder to be laid over the host's files."""
        where = self.folder / f"programs-{zlib.crc32(' '.join(PROGRAMS).encode()):08x}"
        if not (where / DONE).exists():
            print(f"programs for {self.machine.debian}: downloading", flush=True)
            nothing = self.folder / "apt/nothing-installed"
            nothing.touch()
            install = ("--no-install-recommends", "-t", PROGRAMS_SUITE, "--print-uris", "install", *PROGRAMS)
            needed = self._run("apt-get", "-qq", f"-oDir::State::status={nothing}", *install)
            names = re.findall(r"^'\S+' ([^_ ]+)_([^_ ]+)_", needed, re.M)
            self.unpack([f"{name}={version.replace('%3a', ':')}" for name, version in names], where)
        return where


def busybox_in(folder: Path) -> Path:
    return next(path for path in (folder / "bin/busybox", folder / "usr/bin/busybox") if path.exists())


def index(busybox: Path, kernel: Kernel) -> None:
    """Make the kernel's modules.dep: which module needs which others."""
    base = kernel.modules.parents[2]
    subprocess.run([busybox, "depmod", "-b", base, kernel.release], check=True)


def unpacked(where: Path, release: str) -> Kernel:
    """The kernel in a folder that packages were unpacked into, wherever they put image and modules."""
    modules = next(path for path in (where / "lib/modules" / release, where / "usr/lib/modules" / release) if path.exists())
    image = next(path for path in (where / f"boot/vmlinuz-{release}", modules / "vmlinuz") if path.exists())
    return Kernel(release, image, modules, MACHINES[release.rpartition("-")[2]])


def cached(folder: Path) -> list[str]:
    """The releases of kernels that were fetched before."""
    return [done.parent.name for done in folder.glob(f"*/{DONE}") if re.match(r"\d", done.parent.name)]


def split(wanted: str) -> tuple[str, Machine]:
    """A kernel as it is asked for: a series (6.1), a machine (arm64) or both (6.1-arm64)."""
    for name, machine in MACHINES.items():
        if wanted == name or wanted.endswith(f"-{name}"):
            return wanted[: -len(name)].removesuffix("-") or NEWEST, machine
    return wanted, PC


def fetch(folder: Path, mirror: str, wanted: Iterable[str]) -> tuple[Path, list[Kernel]]:
    """A busybox that runs here, and the newest kernel of each series."""
    wanted = list(wanted)
    busybox = Archive(folder, mirror).busybox()
    kernels: dict[str, Kernel] = {}
    for machine in MACHINES.values():
        series = [one for one, of in map(split, wanted) if of is machine]
        for kernel in kernels_of(machine, folder, mirror, series, busybox) if series else ():
            kernels[kernel.release] = kernel
    return busybox, list(kernels.values())


def kernels_of(machine: Machine, folder: Path, mirror: str, series: list[str], busybox: Path) -> list[Kernel]:
    """The newest kernel of each series. Where apt cannot tell which that is, one of an earlier run does."""
    archive = Archive(folder if machine is PC else folder / machine.debian, mirror, machine)
    have, current = cached(archive.folder), True
    try:
        archive.update()
    except CannotRun as error:
        current = False
        print(f"{error}\nKernels of earlier runs are taken where there are any.", file=sys.stderr, flush=True)
    known = [*archive.releases(), *have]
    chosen = dict.fromkeys(choose(known if current or not fitting(have, one) else have, one) for one in series)
    programs = None if machine is PC else archive.programs()
    return [replace(archive.kernel(release, busybox), programs=programs) for release in chosen]
