"""What a package is to be made of, as the command's options and a project's file say it."""

from __future__ import annotations

from pathlib import Path

from purebpf.data import data, replace
from purebpf.errors import Error
from purebpf.packaging.sources import Source, add_type, read_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.reader import Btf
    from purebpf.compiler.options import Options


@data
class Settings:
    """`names` are for the first sources, in order; `types` for the first source that has each. `cpu`, `kernel` and `btf` say
    what Python files are compiled for, as those of `purebpf build` do."""

    sources: tuple[Path, ...]
    names: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    cpu: int | None = None
    kernel: str | None = None
    btf: str = ""
    kernels: tuple[Path, ...] = ()

    def read(self) -> list[Source]:
        """The sources, compiled. Raises Error."""
        if len(self.names) > len(self.sources):
            raise Error(f"there are {len(self.names)} names for {len(self.sources)} sources")
        names = [*self.names, *[""] * (len(self.sources) - len(self.names))]
        read = [read_source(path, name, self.options()) for path, name in zip(self.sources, names, strict=True)]
        for wanted in self.types:
            _give(read, wanted)
        return read

    def options(self) -> Options:
        """What Python files are compiled for: always the same, whatever machine it is done on."""
        from purebpf.compiler.options import Options, for_kernels
        from purebpf.tables.since import parse

        options = Options()
        if self.kernel is not None:
            try:
                options = for_kernels(parse(self.kernel))
            except ValueError as error:
                raise Error(str(error)) from None
        if self.cpu is not None:
            options = replace(options, cpu=self.cpu)
        return replace(options, btf=self.btf)

    def kernel_types(self) -> dict[str, Btf]:
        """The types of the kernels, by their releases."""
        from purebpf.btf.files import open_btf

        return {path.name.removesuffix(".btf"): open_btf(path) for path in self.kernels}


def _give(sources: list[Source], wanted: str) -> None:
    """Give a type to the first source that has it."""
    errors = []
    for source in sources:
        try:
            return add_type(source, wanted)
        except Error as error:
            errors.append(str(error))
    raise Error("; ".join(errors))
