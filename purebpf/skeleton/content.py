"""The bytecode that lies in a package beside its Python."""

from __future__ import annotations

import os

from purebpf.errors import Error
from purebpf.packed import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from purebpf.btf.reader import Btf
    from purebpf.spec import CollectionSpec


class Content:
    """A file of the package that a module is of, in a folder or in a zip file, with the digest (SHA-256, hex) that it had when
    the module was written."""

    def __init__(self, module: ModuleSpec, file: str, digest: str) -> None:
        self.module, self.file, self.digest = module, file, digest

    def spec(self) -> CollectionSpec:
        """The programs and maps. Raises Error when the file is not the one that belongs to the module."""
        path, content = self._read(self.file)
        if _sha256(content) != self.digest:
            raise Error(
                f"{path} is not the file that `{self.module.name}` was written for: make the package anew (purebpf gen)"
            )
        return loads(content)

    def types(self, file: str) -> Btf:
        """The types of a kernel, from another file of the package."""
        from purebpf.btf.reader import Btf

        path, content = self._read(file)
        return Btf(content, origin=path)

    def _read(self, file: str) -> tuple[str, bytes]:
        """The path of a file of the package, and what is in it."""
        path = os.path.join(os.path.dirname(self.module.origin or ""), file)
        try:
            content: bytes = self.module.loader.get_data(path)  # type: ignore[union-attr]
        except (OSError, AttributeError) as error:
            raise Error(f"{path}, which belongs to `{self.module.name}`, cannot be read: {error}") from None
        return path, content


def _sha256(content: bytes) -> str:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]  # without OpenSSL, whose loading takes milliseconds
    except ImportError:
        try:
            from _sha2 import sha256  # type: ignore[import-not-found]  # its name since Python 3.12
        except ImportError:
            from hashlib import sha256
    found: str = sha256(content).hexdigest()
    return found
