"""The types of global subprograms as BTF, by which the kernel verifies them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from purebpf.btf import types as btf
from purebpf.compiler.signatures import ParameterType, Signature, context_struct
from purebpf.data import replace
from purebpf.lang.btf_types import Collector
from purebpf.lang.types import BoolType, IntType, StructType
from purebpf.spec import FunctionSpec
from purebpf.tables.enums import ProgramType

NO_C_NAME = re.compile(r"\W", re.ASCII)


def function_types(
    functions: Iterable[FunctionSpec], signatures: Mapping[str, Signature], type: ProgramType, collected: Collector
) -> tuple[FunctionSpec, ...]:
    """The functions with the numbers of their types, which go to `collected`; only global ones have one."""
    typed = []
    for function in functions:
        signature = signatures.get(function.name)
        number = _function(collected, function.name, signature, type) if signature is not None else 0
        typed.append(replace(function, type=number))
    return tuple(typed)


def _function(collected: Collector, name: str, signature: Signature, program: ProgramType) -> int:
    parameters = tuple(btf.Parameter(p.name, _parameter(collected, p.type, program)) for p in signature.parameters)
    result = signature.result if isinstance(signature.result, IntType | BoolType) else IntType(64, signed=True)
    prototype = collected.add(btf.FuncProto(collected.number(result), parameters))
    return collected.add(btf.Func(NO_C_NAME.sub("_", name), prototype, btf.Linkage.GLOBAL))


def _parameter(collected: Collector, type: ParameterType, program: ProgramType) -> int:
    if isinstance(type, IntType | BoolType):
        return collected.number(type)
    if isinstance(type, StructType):
        return collected.add(btf.Ptr(collected.number(type)))
    return collected.add(btf.Ptr(collected.add(btf.Struct(context_struct(program), 0, ()))))
