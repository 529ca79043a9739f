"""The text of a package: `__init__.py`, and `__init__.pyi` by which type checkers and editors know what is in it."""

from __future__ import annotations

from collections.abc import Iterable

from purebpf.data import data
from purebpf.errors import Error
from purebpf.lang.maps.by_spec import class_of
from purebpf.lang.types import KernelType
from purebpf.objects.naming import identifier
from purebpf.objects.records import field_names
from purebpf.packaging.classes import Classes, quoted
from purebpf.packaging.sources import DROPPED, Held, Source
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

MADE_BY = "Written by `purebpf gen`"
HEAD = f'"""{{about}} {MADE_BY}: changes here will be lost."""\n'
STUB_HEAD = "import builtins as _b\nfrom enum import IntEnum\n\nimport purebpf.skeleton as _s\n"
WIDEST = 120


@data
class Module:
    """Both texts."""

    code: str
    stub: str


def module(sources: list[Source], digests: list[str], kernels: list[str]) -> Module:
    """The package of these sources, whose bytecode has these digests. `kernels` are the files with types of kernels."""
    classes = Classes({source.name for source in sources})
    skeletons = [_Skeleton(source, digest, classes, kernels) for source, digest in zip(sources, digests, strict=True)]
    for source in sources:
        for layout in source.types:
            classes.expression(layout)
    about = f"Programs of {', '.join(source.origin for source in sources)}, compiled: {', '.join(s.name for s in sources)}."
    names = ", ".join(quoted(name) for name in sorted([*(source.name for source in sources), *classes.names]))
    enums = any(text.startswith("class ") for text in classes.code)
    imports = ("from enum import IntEnum\n\n" if enums else "") + "import purebpf.skeleton as _s\n"
    code = [
        HEAD.format(about=about),
        imports,
        f"__all__ = [{names}]\n",
        *_apart(classes.code),
        *_apart(s.code() for s in skeletons),
    ]
    stub = [
        HEAD.format(about=about),
        STUB_HEAD,
        f"__all__ = [{names}]\n",
        *classes.stubs,
        *_lines(classes.aliases()),
        *(s.stub() for s in skeletons),
    ]
    return Module("\n".join(code), "\n".join(stub))


def _lines(lines: list[str]) -> list[str]:
    return ["\n".join([*lines, ""])] if lines else []


def _apart(texts: Iterable[str]) -> list[str]:
    return [f"\n{text}" if text.startswith("class ") else text for text in texts]


class _Skeleton:
    """The class of one source. Names in a package are Python's: a map `my-map` is the attribute `my_map`."""

    def __init__(self, source: Source, digest: str, classes: Classes, kernels: list[str]) -> None:
        self.source, self.digest, self.classes, self.kernels = source, digest, classes, kernels
        self.programs = _attributes(source.spec.programs)
        sections = {group.map for group in source.variables}
        shown = [name for name in source.held if name not in sections and not name.endswith(DROPPED)]
        self.maps = _attributes(shown)
        operations = [name for name, spec in source.spec.maps.items() if spec.type is MapType.STRUCT_OPS]
        self.operations = _attributes(operations, set(self.programs))
        # made before any text, so that classes come in the order of maps and variables
        self.brackets = {name: _brackets(classes, source.held[name], source.spec.maps[name]) for name in shown}
        self.groups = [(group, classes.rows(group.layout)) for group in source.variables]

    def code(self) -> str:
        source = self.source
        what = ", ".join(f"{name} ({_kind(each.section)})" for name, each in source.spec.programs.items())
        rows = [f"class {source.name}(_s.Skeleton):", f'    """{_docstring(what, source)}"""', ""]
        rows.append(f'    _content_ = _s.Content(__spec__, "{source.stem}.bpf", "{self.digest}")')
        if self.kernels:
            rows.append(f"    _kernels_ = [{', '.join(map(quoted, self.kernels))}]")
        rows += _table("_programs_", [f"{quoted(attribute)}: {quoted(name)}" for attribute, name in self.programs.items()])
        rows += _table("_operations_", [f"{quoted(attribute)}: {quoted(name)}" for attribute, name in self.operations.items()])
        rows += _table(
            "_maps_",
            [f"{quoted(attribute)}: ({quoted(name)}, {self.brackets[name][0]})" for attribute, name in self.maps.items()],
        )
        groups = [
            f"({quoted(group.map)}, {quoted(group.group)}, {group.layout.size}, {rows_}, {group.constant}, "
            f"{_tuple([quoted(each) for each in group.unset])})"
            for group, rows_ in self.groups
        ]
        rows += _table("_variables_", groups, "[]")
        return "\n".join(rows) + "\n"

    def stub(self) -> str:
        name, classes = self.source.name, self.classes
        programs = [f"    {attribute}: _s.Program" for attribute in self.programs]
        links = [f"    {attribute}: _s.Link" for attribute in [*self.programs, *self.operations]]
        maps = [f"    {attribute}: {self.brackets[map][1]}" for attribute, map in self.maps.items()]
        texts, variables = [], []
        for group, _ in self.groups:
            known = {n: f for n, f in field_names(group.layout).items() if not isinstance(f.type, KernelType)}
            fields = [f"    {field}: {classes.annotation(each.type)}" for field, each in known.items()]
            if group.group:
                texts.append(_class(f"_{name}_{group.group}", "", fields))
                variables.append(f"    {group.group}: _{name}_{group.group}")
            else:
                variables += fields
        texts.append(_class(f"_{name}_programs", "_s.Named[_s.Program]", programs))
        texts.append(_class(f"_{name}_maps", "_s.Named[_s.Map]", maps))
        texts.append(_class(f"_{name}_variables", "_s.Variables", variables))
        texts.append(_class(f"_{name}_links", "_s.Named[_s.Link]", links))
        parts = [f"    {part}: _{name}_{part}" for part in ("programs", "maps", "variables", "links")]
        return "\n".join([*texts, _class(name, "_s.Skeleton", parts)])


def _class(name: str, base: str, lines: list[str]) -> str:
    return "\n".join([f"class {name}{f'({base})' if base else ''}:", *(lines or ["    pass"]), ""])


def _table(name: str, rows: list[str], brackets: str = "{}") -> list[str]:
    """A dictionary or list of the class, on one line where it fits."""
    if not rows:
        return []
    line = f"    {name} = {brackets[0]}{', '.join(rows)}{brackets[1]}"
    if len(line) <= WIDEST:
        return [line]
    return [f"    {name} = {brackets[0]}", *(f"        {row}," for row in rows), f"    {brackets[1]}"]


def _kind(section: str) -> str:
    return section.removeprefix("?") or "program"


def _docstring(what: str, source: Source) -> str:
    text = f"{source.origin}: {what}".replace("\\", "\\\\").replace('"', '\\"')
    return text if len(text) < WIDEST else f"{text[: WIDEST - 4]} ..."


def _attributes(names: Iterable[str], taken: set[str] | None = None) -> dict[str, str]:
    """The names by what they are called in Python."""
    found: dict[str, str] = {}
    for name in names:
        found[identifier(name.lstrip("."), set(found) | (taken or set()))] = name
    return found


def _brackets(classes: Classes, held: Held, spec: MapSpec) -> tuple[str, str]:
    """The types of a map, as code and as a type checker sees them."""
    own = [layout for layout in (held.key, held.value) if layout is not None]
    _, kind, _ = class_of(spec, bool(own))
    shown = [classes.annotation(layout) for layout in own]
    code = _tuple([classes.expression(layout) for layout in own])
    inner = ""
    if held.inner is not None:
        if spec.inner is None:
            raise Error(f"map `{spec.name}` holds maps, but nothing says of what kind they are")
        inner_code, inner_shown = _brackets(classes, held.inner, spec.inner)
        inner = f", {inner_code}"
        shown = [inner_shown] if kind == "ArrayOfMaps" else shown
    return f"{code}{inner}", f"_s.{kind}[{', '.join(shown)}]" if shown else f"_s.{kind}"


def _tuple(parts: list[str]) -> str:
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
