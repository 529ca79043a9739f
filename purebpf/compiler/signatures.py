"""What global subprograms take and give."""

from __future__ import annotations

from typing import TypeAlias

from purebpf.compiler.meaning import Annotation
from purebpf.data import data
from purebpf.lang.types import BoolType, IntType, StructType
from purebpf.tables.contexts import context
from purebpf.tables.enums import ProgramType

CONTEXT = "context"
RAW = dict.fromkeys((ProgramType.RAW_TRACEPOINT, ProgramType.RAW_TRACEPOINT_WRITABLE), "bpf_raw_tracepoint_args")
ParameterType: TypeAlias = IntType | BoolType | StructType | str | type


@data
class Parameter:
    """An integer, a reference to a record, the context (CONTEXT), or a class of maps, which is known when it is compiled."""

    name: str
    type: ParameterType
    nullable: bool = False


@data
class Signature:
    """What a global subprogram takes at run time, and the annotation of its result."""

    parameters: tuple[Parameter, ...]
    result: Annotation | None


def context_struct(type: ProgramType) -> str:
    """The name by which the kernel knows a context in BTF; "" where it knows none."""
    found = context(type)
    return RAW.get(type, found.struct if found is not None else "")
