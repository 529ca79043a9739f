"""The types of an object file as the kernel takes them, each with its number.

An object declares what it wants of the kernel (`extern`); BTF that is loaded has definitions only. So functions and variables
of others become the file's own: variables of the kernel are integers then, in a section that functions have left. The kernel
takes sections only with variables, in the order of their bytes, and parameters of functions only with names.
"""

from __future__ import annotations

from collections.abc import Sequence

from purebpf.btf.types import DataSec, Func, FuncProto, Int, Linkage, Section, Struct, Type, Var
from purebpf.data import replace

KSYMS = ".ksyms"
WORD = 4


def loadable(types: Sequence[Type]) -> list[Type]:
    """The types, numbered from 1; new ones come behind the others."""
    found = list(types)
    wanted = [at for at, type in enumerate(types) if isinstance(type, DataSec) and type.name == KSYMS]
    integer = len(found) + 1
    if wanted:
        found += [Int("int", WORD, 8 * WORD, signed=True), Var("dummy_ksym", integer, Linkage.GLOBAL)]
    for at, type in enumerate(types):
        if isinstance(type, Func) and type.linkage is Linkage.EXTERN:
            found[at] = replace(type, linkage=Linkage.GLOBAL)
            _name_parameters(found, type.type - 1)
        elif isinstance(type, Var) and type.linkage is Linkage.EXTERN:
            found[at] = replace(type, linkage=Linkage.GLOBAL)
        elif isinstance(type, DataSec) and type.name != KSYMS and not type.variables:
            found[at] = Struct(type.name.lstrip(".").replace(".", "_"), type.size, ())
    for at in wanted:
        _keep_apart(found, at, integer)
    return found


def _name_parameters(types: list[Type], at: int) -> None:
    prototype = types[at] if 0 <= at < len(types) else None
    if isinstance(prototype, FuncProto):
        named = [replace(each, name=each.name or f"arg{i}" if each.type else "") for i, each in enumerate(prototype.parameters)]
        types[at] = replace(prototype, parameters=tuple(named))


def _keep_apart(types: list[Type], at: int, integer: int) -> None:
    """Make the section of the kernel's symbols one of integers; a stand-in takes the place of each function."""
    section = types[at]
    assert isinstance(section, DataSec)
    variables = []
    for index, each in enumerate(section.variables):
        variable = types[each.type - 1] if each.type else None
        if isinstance(variable, Var):
            types[each.type - 1] = replace(variable, type=integer)
        variables.append(Section(each.type if isinstance(variable, Var) else integer + 1, WORD * index, WORD))
    types[at] = replace(section, size=WORD * len(variables), variables=tuple(variables))
