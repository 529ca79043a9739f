"""Tries of prefixes: of several entries that fit an address, the longest prefix counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from purebpf.lang import declaring
from purebpf.lang.maps.keyed import K, KeyedMap, V
from purebpf.lang.packing import Decoder, Encoder
from purebpf.lang.records import bytes_, struct
from purebpf.lang.scalars import be32, u32
from purebpf.lang.types import IntType, StructType, Type
from purebpf.spec import MapSpec
from purebpf.tables.enums import MapType

if TYPE_CHECKING:
    import ipaddress

BPF_F_NO_PREALLOC = 1
LONGEST = 256  # bytes of data in a key, LPM_DATA_SIZE_MAX


@struct
class Network4:
    """An IPv4 network as it lies in a trie's key: `length` leading bits of `address`."""

    length: u32
    address: be32


@struct
class Network6:
    """An IPv6 network as it lies in a trie's key."""

    length: u32
    address: bytes = bytes_(16)


RECORDS = {"IPv4Network": Network4, "IPv6Network": Network6}


def _record(wanted: Any) -> Any:
    """The record for a class of `ipaddress`."""
    return RECORDS.get(getattr(wanted, "__name__", ""), wanted) if getattr(wanted, "__module__", "") == "ipaddress" else wanted


class LpmTrie(KeyedMap[K, V]):
    """Values by prefix (BPF_MAP_TYPE_LPM_TRIE, Linux 4.11): a lookup gives the entry of the longest prefix that fits.

    Keys are networks, `LpmTrie[ipaddress.IPv4Network, V]`: user space uses networks, addresses (as networks of one) and their
    texts; programs look an address up as it lies in a packet, and write prefixes as `bpf.Network4(length=24, address=...)`. Or
    they are records of your own, of which the first field, a u32, counts the leading bits of the rest.
    """

    kind = MapType.LPM_TRIE

    def __class_getitem__(cls, types: Any) -> Any:
        return super().__class_getitem__(tuple(map(_record, types)) if isinstance(types, tuple) else types)

    def __init__(self, max_entries: int, *, name: str | None = None, flags: int = BPF_F_NO_PREALLOC, pin: str = "") -> None:
        super().__init__(max_entries, name=name, flags=flags | BPF_F_NO_PREALLOC, pin=pin)

    @property
    def network(self) -> type | None:
        """The record of IPv4 or IPv6 networks, if that is what the keys are."""
        key = self.key_type
        return key.record if isinstance(key, StructType) and key.record in RECORDS.values() else None

    def describe(self, name: str) -> MapSpec:
        key = self.key_type
        first = key.fields[0] if isinstance(key, StructType) and not key.union else None
        if first is None or first.type != IntType(32) or first.bits or not 0 < key.size - 4 <= LONGEST:
            raise declaring.error(
                f"`{name}`: `{key}` is no key of a trie",
                f"a network of `ipaddress`, or a record whose first field is a u32, before at most {LONGEST} bytes",
                self.place,
            )
        return super().describe(name)

    def _key_packer(self, plain: Encoder) -> Encoder:
        record = self.network
        if record is None:
            return plain
        return lambda key: plain(key if isinstance(key, record) else _laid_out(record, key))

    def _key_unpacker(self, plain: Decoder) -> Decoder:
        if self.network is None:
            return plain
        import ipaddress

        def network(data: bytes) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
            key = plain(data)
            address = key.address if isinstance(key.address, int) else int.from_bytes(key.address, "big")
            kind = ipaddress.IPv4Network if isinstance(key, Network4) else ipaddress.IPv6Network
            return kind((address, key.length))

        return network

    def _misfit(self, what: str, layout: Type, error: TypeError | ValueError) -> TypeError | ValueError:
        if what == "key" and self.network is not None:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            return kind(f"the key of `{self.name}` is an IPv{4 if self.network is Network4 else 6} network: {error}")
        return super()._misfit(what, layout, error)

    if TYPE_CHECKING:  # an address or a text will do

        def __getitem__(self, key: Any) -> V: ...
        def __setitem__(self, key: Any, value: V) -> None: ...
        def __delitem__(self, key: Any) -> None: ...
        def get(self, key: Any, default: Any = None) -> Any: ...
        def set(self, key: Any, value: V, flags: int = 0) -> int: ...
        def pop(self, key: Any, default: Any = None) -> Any: ...


def _laid_out(record: type, key: Any) -> Any:
    """A network, address or text as the key's record."""
    import ipaddress

    network = key if isinstance(key, ipaddress.IPv4Network | ipaddress.IPv6Network) else None
    if network is None:
        if not isinstance(key, str | ipaddress.IPv4Address | ipaddress.IPv6Address):
            raise TypeError(f"a network, an address or its text is wanted, not {key!r}")
        network = ipaddress.ip_network(key)
    wanted = 4 if record is Network4 else 6
    if network.version != wanted:
        raise ValueError(f"{network} is IPv{network.version}")
    address = int(network.network_address) if wanted == 4 else network.network_address.packed
    return cast(Any, record)(length=network.prefixlen, address=address)
