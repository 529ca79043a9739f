"""Records into NumPy arrays, many at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from purebpf.engine import Run
from purebpf.lang.dtypes import dtype_of, numpy_module
from purebpf.lang.types import Type

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


def from_runs(layout: Type, runs: Iterable[Run]) -> Array:
    """Runs of records that are at least as long as the type, as one array: a run that is lent as it is, of an array without
    gaps the same memory, else a copy."""
    module, dtype = numpy_module(), dtype_of(layout)
    arrays = [_array(dtype, run) for run in runs if run.count]
    if len(arrays) == 1:
        return arrays[0]
    return module.concatenate(arrays) if arrays else module.empty(0, dtype)  # type: ignore[no-any-return]


def _array(dtype: numpy.dtype[Any], run: Run) -> Array:
    records: Array = numpy_module().ndarray((run.count,), dtype, run.content, run.start, (run.stride,))
    own = run.lent or (not isinstance(run.content, bytes) and run.stride == dtype.itemsize)
    return records if own else records.copy()
