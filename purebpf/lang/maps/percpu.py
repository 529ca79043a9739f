"""Maps with one value per CPU: programs see their CPU's, user space all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from purebpf.lang.maps.keyed import K, KeyedMap, V
from purebpf.lang.packing import Decoder
from purebpf.tables.enums import MapType


class PerCpuValue(list[V]):
    """One value per possible CPU."""

    def sum(self) -> Any:
        """All of them added up; records are added field by field."""
        return add_up(self)


def add_up(values: list[Any]) -> Any:
    """The sum of integers, of records field by field, of arrays element by element. What cannot be added (texts, bytes, bools)
    is that of the first."""
    first = values[0] if values else 0
    if hasattr(first, "__bpf_type__"):
        total = type(first).__bpf_type__.zero()
        for field in type(first).__bpf_type__.fields:
            setattr(total, field.name, add_up([getattr(value, field.name) for value in values]))
        return total
    if isinstance(first, list):
        return [add_up(list(elements)) for elements in zip(*values, strict=True)]
    return sum(values) if isinstance(first, int) and not isinstance(first, bool) else first


class PerCpuMap(KeyedMap[K, V]):
    """A map with one value per CPU: programs see their CPU's, user space sees a list with `.sum()`. To a type checker a value
    is either, so `Any`."""

    if TYPE_CHECKING:

        def __getitem__(self, key: K) -> Any: ...

        def __setitem__(self, key: K, value: V | list[V]) -> None: ...

        def get(self, key: K, default: Any = None) -> Any: ...

        def pop(self, key: K, default: Any = None) -> Any: ...

        def items(self) -> Iterator[tuple[K, Any]]: ...

        def values(self) -> Iterator[Any]: ...

    def _unpacker(self, one: Decoder) -> Decoder:
        size = self.value_type.size
        step = -(-size // 8) * 8
        return lambda data: PerCpuValue(one(data[i : i + size]) for i in range(0, len(data), step))

    def _zeros(self) -> bytes:
        return bytes(-(-self.value_type.size // 8) * 8 * self.engine.possible_cpus)

    def _encode(self, value: Any) -> bytes:
        """A list gives each CPU its value, anything else is written for every CPU."""
        cpus = self.engine.possible_cpus
        values = list(value) if isinstance(value, list) else [value] * cpus
        if len(values) != cpus:
            raise ValueError(f"a per-CPU value is a list of {cpus} values (one per possible CPU), not {len(values)}")
        step = -(-self.value_type.size // 8) * 8
        return b"".join(self._fitted("value", self.value_type, item).ljust(step, b"\0") for item in values)

    def sums(self) -> dict[K, Any]:
        """Every key with the sum of its values over all CPUs; for arrays, keys whose sum is zero everywhere are left out."""
        totals = {key: cast(Any, value).sum() for key, value in self.items()}
        if self.kind is MapType.PERCPU_ARRAY:
            zero = self.value_type.zero()
            totals = {key: total for key, total in totals.items() if total != zero}
        return totals
