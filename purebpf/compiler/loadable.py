"""What the compiler gives to whoever loads a program."""

from __future__ import annotations

from purebpf.data import data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.compiler.options import Options
    from purebpf.lang.maps import MapDeclaration
    from purebpf.spec import MapSpec, ProgramSpec


@data(frozen=False)
class Loadable:
    """A program as data, its maps with the declarations behind them, what the compiler warned of, what it was compiled for."""

    program: ProgramSpec
    maps: dict[str, MapSpec]
    declarations: dict[str, MapDeclaration]
    warnings: list[str]
    options: Options
