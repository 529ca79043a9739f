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
    """Runs of records that are at least as long as the type."""
    module, dtype = numpy_module(), dtype_of(layout)
    return _joined(dtype, [module.ndarray((run.count,), dtype, run.content, run.start, (run.stride,)).copy() for run in runs])


def from_bytes(layout: Type, batches: Iterable[Array]) -> Array:
    """Arrays of bytes (`V`), each as long as the type or longer."""
    module, dtype = numpy_module(), dtype_of(layout)

    def cut(batch: Array) -> Array:
        if batch.itemsize == dtype.itemsize:
            return batch.view(dtype)
        return module.ndarray((len(batch),), dtype, batch, 0, (batch.itemsize,)).copy()  # type: ignore[no-any-return]

    return _joined(dtype, [cut(batch) for batch in batches])


def _joined(dtype: numpy.dtype[Any], arrays: list[Array]) -> Array:
    module = numpy_module()
    if len(arrays) == 1:
        return arrays[0]
    return module.concatenate(arrays) if arrays else module.empty(0, dtype)  # type: ignore[no-any-return]
