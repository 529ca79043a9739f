"""What of a collection is loaded, and how it is changed before: the way from an object file to live programs.

Only what is asked for is loaded, and what that leads to.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from purebpf.collection import choose_engine
from purebpf.data import replace
from purebpf.engine import Engine, EngineMap, EngineProgram
from purebpf.errors import Error
from purebpf.live import Live
from purebpf.objects.changes import pinned_in, with_variables
from purebpf.objects.given import check_options, engine_map, engine_program
from purebpf.objects.maps import LoadedMap
from purebpf.objects.named import unknown
from purebpf.objects.objects import LoadedProgram, Objects
from purebpf.spec import CollectionSpec, MapSpec, ProgramSpec
from purebpf.tables.enums import MapType, ProgramType
from purebpf.tables.sections import similar_section

TYPE_CHECKING = False
if TYPE_CHECKING:
    from purebpf.btf.reader import Btf

Given = EngineMap | LoadedMap | str | int
Target = LoadedProgram | EngineProgram


def load(
    source: CollectionSpec | str | os.PathLike[str] | bytes,
    *,
    engine: str | Engine = "auto",
    programs: Iterable[str] | None = None,
    maps: Mapping[str, Given] | None = None,
    variables: Mapping[str, object] | None = None,
    pin_path: str | os.PathLike[str] | None = None,
    btf: str | os.PathLike[str] | Btf | None = None,
    targets: Mapping[str, Target] | None = None,
) -> Objects:
    """Load a collection, or the object file at a path or of these bytes.

    `programs`: only these, and the maps they use; without it all that are not optional, and all maps. `maps`: existing ones in
    the place of the object's own: a map, the path of its pin, or its id. `variables`: other initial values. `pin_path`: the
    folder for maps that are pinned by name (/sys/fs/bpf). `btf`: a file with the types of this kernel, where it does not tell
    them itself. `targets`: for each program that replaces or traces a function of another, that other program, loaded.

    In the virtual machine pins mean nothing: maps there are those of this process. Raises Error for a name that is not there,
    KernelError, VerifierError (with the log) and Unsupported.
    """
    live, why = loaded(
        source, engine=engine, programs=programs, maps=maps, variables=variables, pin_path=pin_path, btf=btf, targets=targets
    )
    return Objects(live, why)


def loaded(
    source: CollectionSpec | str | os.PathLike[str] | bytes,
    *,
    engine: str | Engine = "auto",
    programs: Iterable[str] | None = None,
    maps: Mapping[str, Given] | None = None,
    variables: Mapping[str, object] | None = None,
    pin_path: str | os.PathLike[str] | None = None,
    btf: str | os.PathLike[str] | Btf | None = None,
    targets: Mapping[str, Target] | None = None,
) -> tuple[Live, str]:
    """What `load` makes objects of, and why it is on its engine."""
    given: dict[str, Mapping[str, object] | None] = {"maps": maps, "variables": variables, "targets": targets}
    if not isinstance(source, CollectionSpec):
        from purebpf.elf.reader import load_object

        source = load_object(source)
    check_options({**given, "programs": programs, "pin_path": pin_path, "btf": btf})
    chosen, why = choose_engine(engine) if isinstance(engine, str) else (engine, "it was given")
    spec = chosen_part(with_variables(source, variables or {}), programs)
    for kind, named, known in (("map", maps, spec.maps), ("program", targets, spec.programs)):
        for name in named or ():
            if name not in known:
                raise unknown(kind, name, known)
    folder = None if pin_path is None else os.fspath(pin_path)
    placed = {
        name: replace(each, pin="") if chosen.name == "vm" else pinned_in(each, folder) for name, each in spec.maps.items()
    }
    if chosen.name != "vm":
        make_folders(each.pin for each in placed.values() if each.pin)
    answered = {name: _relocated(each, btf) if btf is not None else each for name, each in spec.programs.items()}
    own = {name: engine_map(name, each) for name, each in (maps or {}).items()}
    others = {name: engine_program(name, each) for name, each in (targets or {}).items()}
    return Live(replace(spec, programs=answered, maps=placed), chosen, own, others), why


def make_folders(pins: Iterable[str]) -> None:
    """Make the folders that pins are to be in, below those that are in a BPF file system already."""
    from purebpf.kernel.pins import on_bpffs

    for folder in sorted({os.path.dirname(os.path.abspath(pin)) for pin in pins}):
        above = folder
        while not os.path.isdir(above):
            above = os.path.dirname(above)
        if above != folder and on_bpffs(above):
            os.makedirs(folder, exist_ok=True)


def chosen_part(spec: CollectionSpec, programs: Iterable[str] | None = None) -> CollectionSpec:
    """The collection with only these programs, and what they lead to: maps, and programs and maps that those hold. None: all
    that are not optional, and all maps. Raises Error for a name that no program has, and a program of no type."""
    chosen, maps = _asked_for(spec, programs)
    while True:
        more = maps | {map for name in chosen for map in spec.programs[name].maps if map in spec.maps}
        more |= {name for name, each in spec.maps.items() if _implemented_by(each, chosen)}
        held = {held for name in more for _, held in spec.maps[name].entries}
        grown = chosen | (held & spec.programs.keys()), more | (held & spec.maps.keys() - spec.programs.keys())
        if grown == (chosen, maps):
            break
        chosen, maps = grown
    return replace(
        spec,
        programs={name: _checked(each) for name, each in spec.programs.items() if name in chosen},
        maps={name: replace(each, optional=False) for name, each in spec.maps.items() if name in maps},
        variables={name: each for name, each in spec.variables.items() if each.map in maps},
    )


def _asked_for(spec: CollectionSpec, programs: Iterable[str] | None) -> tuple[set[str], set[str]]:
    """The names of programs and of maps."""
    if programs is None:
        return {n for n, each in spec.programs.items() if not each.optional}, {
            n for n, m in spec.maps.items() if not m.optional
        }
    chosen = {programs} if isinstance(programs, str) else set(programs)
    for name in chosen:
        if name not in spec.programs:
            raise unknown("program", name, spec.programs)
    return chosen, set()


def _implemented_by(map: MapSpec, programs: set[str]) -> bool:
    return map.type is MapType.STRUCT_OPS and any(held in programs for _, held in map.entries)


def of_no_type(spec: ProgramSpec) -> str:
    """What is wrong with a program whose section has a name that stands for nothing."""
    near = similar_section(spec.section)
    meant = f" Is {near!r} meant?" if near else ""
    return f"The program {spec.name!r} is in the section {spec.section!r}, whose name does not say what it is for.{meant}"


def _checked(spec: ProgramSpec) -> ProgramSpec:
    if spec.type is ProgramType.UNSPEC:
        name = spec.section.partition("/")[0]
        raise Error(
            f"{of_no_type(spec)} Give its type to `load_object`, as sections={{{name!r}: (ProgramType.XDP, AttachType.XDP)}}, "
            "or leave it out with `programs=`."
        )
    return replace(spec, optional=False)


def _relocated(spec: ProgramSpec, btf: str | os.PathLike[str] | Btf) -> ProgramSpec:
    """The program with what it wants to know of a kernel whose types are given."""
    if not spec.relocations:
        return spec
    from purebpf.btf.files import open_btf
    from purebpf.btf.reader import Btf
    from purebpf.relocate import relocated

    target = btf if isinstance(btf, Btf) else open_btf(btf)
    return replace(spec, instructions=relocated(spec, [target]), relocations=())
