"""Maps as NumPy arrays: the engine reads straight into their memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from purebpf.errors import Error
from purebpf.lang.dtypes import dtype_of, numpy_module
from purebpf.lang.maps.percpu import PerCpuMap

if TYPE_CHECKING:
    from purebpf.lang.maps.keyed import KeyedMap

SPARSE = 4  # a table filled to less than this part is copied, so that the memory for all of it is given back


def to_numpy(map: KeyedMap[Any, Any], take: bool = False) -> tuple[Any, Any]:
    """Keys and values of all entries."""
    numpy, live, room = numpy_module(), map.live, map.room()
    key, value = dtype_of(map.key_type), _in_memory(map)
    keys, values = numpy.empty(room, key), numpy.empty(_shape(map, room), value)
    count = live.read_into(_bytes(numpy, keys), _bytes(numpy, values), room, take)
    keys, values = keys[:count], values[:count]
    if count * SPARSE < room:
        keys, values = keys.copy(), values.copy()
    return keys, values["value"] if isinstance(map, PerCpuMap) else values


def from_numpy(map: KeyedMap[Any, Any], keys: Any, values: Any, flags: int) -> None:
    """Write entries."""
    numpy = numpy_module()
    key_array = _fitting(numpy, map, "keys", keys, dtype_of(map.key_type))
    given = _fitting(numpy, map, "values", values, dtype_of(map.value_type))
    count = len(key_array)
    if len(given) != count:
        raise ValueError(f"`{map.name}` wants as many values as keys: these are {len(given)} for {count}")
    if isinstance(map, PerCpuMap):
        laid_out = numpy.zeros(_shape(map, count), _in_memory(map))
        laid_out["value"] = given if given.ndim > 1 else given[:, None]
        given = laid_out
    map.live.update_batch(key_array.tobytes(), given.tobytes(), count, flags)


def view(map: KeyedMap[Any, Any]) -> Any:
    """The values of an array, in the map's own memory."""
    plain, entries = dtype_of(map.value_type), map.live.spec.max_entries
    step = plain.itemsize if entries == 1 else -(-plain.itemsize // 8) * 8
    numpy = numpy_module()
    padded = numpy.dtype({"names": ["value"], "formats": [plain], "offsets": [0], "itemsize": step})
    return numpy.frombuffer(map.live.memory(), padded, entries)["value"]


def _fitting(numpy: Any, map: KeyedMap[Any, Any], what: str, given: Any, wanted: Any) -> Any:
    """The array as its dtype in memory is; integers that do not fit are an error, as they are one by one."""
    array = numpy.asarray(given)
    if array.dtype != wanted:
        if array.dtype.kind not in "iub" or wanted.kind not in "iub":
            raise TypeError(f"the {what} of `{map.name}` have dtype {wanted}, not {array.dtype}")
        changed = array.astype(wanted)
        if (changed != array).any() or ((array < 0) != (changed < 0)).any():
            raise ValueError(f"not all the {what} fit `{map.name}`, whose {what} have dtype {wanted}")
        array = changed
    return array


def _in_memory(map: KeyedMap[Any, Any]) -> Any:
    """The dtype of a value where the engine has it: that of one CPU is padded to a multiple of 8 bytes."""
    plain = dtype_of(map.value_type)
    if not isinstance(map, PerCpuMap):
        return plain
    size = -(-map.value_type.size // 8) * 8
    return numpy_module().dtype({"names": ["value"], "formats": [plain], "offsets": [0], "itemsize": size})


def _shape(map: KeyedMap[Any, Any], count: int) -> tuple[int, ...]:
    return (count, map.engine.possible_cpus) if isinstance(map, PerCpuMap) else (count,)


def _bytes(numpy: Any, array: Any) -> memoryview:
    """An array's memory, flat."""
    if not array.nbytes:
        raise Error("there is nothing to read")
    return memoryview(array.reshape(-1).view(numpy.uint8))
