"""The guest's first file system: busybox, `guest/init`, the modules it needs to mount the host's files, and what to run."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.kernels.fetch import Kernel, busybox_in

INIT = Path(__file__).with_name("guest") / "init"
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")


def module_name(path: str) -> str:
    """9pnet_virtio of kernel/net/9p/9pnet_virtio.ko.xz."""
    return Path(path).name.split(".ko")[0].replace("-", "_")


def with_dependencies(listing: str, wanted: tuple[str, ...]) -> list[str]:
    """The lines of a modules.dep for some modules and all that these need. A module that is not listed is built in."""
    lines = {module_name(line.partition(":")[0]): line for line in listing.splitlines()}
    found: dict[str, str] = {}
    queue = list(wanted)
    while queue:
        name = queue.pop()
        if name in found or name not in lines:
            continue
        found[name] = lines[name]
        queue += [module_name(path) for path in lines[name].partition(":")[2].split()]
    return list(found.values())


def initramfs(kernel: Kernel, busybox: Path, script: str) -> bytes:
    """A cpio archive that boots `kernel` and runs the shell script on the host's files. `busybox` is one that runs here."""
    with tempfile.TemporaryDirectory(prefix="purebpf-kernels-") as folder:
        root = Path(folder)
        (root / "bin").mkdir()
        shutil.copy(busybox_in(kernel.programs) if kernel.programs else busybox, root / "bin/busybox")
        shutil.copy(INIT, root / "init")
        (root / "init").chmod(0o755)
        (root / "test").write_text(script)
        (root / "modules").write_text(f"{kernel.modules.resolve()}\n")
        modules = root / "lib/modules" / kernel.release
        modules.mkdir(parents=True)
        lines = with_dependencies((kernel.modules / "modules.dep").read_text(), MODULES)
        (modules / "modules.dep").write_text("".join(f"{line}\n" for line in lines))
        shutil.copy(kernel.modules / "modules.builtin", modules)
        for path in (line.partition(":")[0] for line in lines):
            (modules / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(kernel.modules / path, modules / path)
        names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
        command = [str(busybox.resolve()), "cpio", "-o", "-H", "newc", "-R", "0:0"]
        return subprocess.run(command, cwd=root, input=names.encode(), check=True, capture_output=True).stdout
