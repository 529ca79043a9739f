"""Tries of prefixes (kernel/bpf/lpm_trie.c): a lookup finds the entry of the longest prefix that fits."""

from __future__ import annotations

from purebpf.vm.facts import BPF_EXIST, EINVAL, ENOSPC, Refused
from purebpf.vm.hashes import Entry, Hash
from purebpf.vm.memory import SHIFT

LENGTH = 4  # bytes of a key that say how many of the following bits count


class LpmTrie(Hash):
    """Entries by their prefix, whose other bits are zero."""

    def prefix(self, key: bytes, length: int) -> bytes:
        bits = 8 * (len(key) - LENGTH)
        kept = int.from_bytes(key[LENGTH:], "big") >> (bits - length) << (bits - length)
        return self.machine.bytes(length, LENGTH) + kept.to_bytes(len(key) - LENGTH, "big")

    def exact(self, key: bytes) -> bytes:
        """The key as the table has it. Raises Refused for a length beyond the data."""
        length = self.machine.integer(key[:LENGTH])
        if length > 8 * (len(key) - LENGTH):
            raise Refused(EINVAL)
        return self.prefix(key, length)

    def longest(self, key: bytes) -> Entry | None:
        most = min(self.machine.integer(key[:LENGTH]), 8 * (len(key) - LENGTH))
        prefixes = (self.prefix(key, length) for length in range(most, -1, -1))
        return next((self.entries[prefix] for prefix in prefixes if prefix in self.entries), None)

    def make_room(self) -> None:
        if len(self.entries) >= self.spec.max_entries:
            raise Refused(ENOSPC)

    def user_get(self, key: bytes) -> bytes | None:
        entry = self.longest(key)
        return None if entry is None else bytes(entry.values[0])

    def find(self, key: bytes, cpu: int) -> int:
        entry = self.longest(key)
        return 0 if entry is None else entry.region << SHIFT

    def put(self, key: bytes, value: bytes, flags: int) -> None:
        if flags > BPF_EXIST:
            raise Refused(EINVAL)
        super().put(self.exact(key), value, flags)

    def remove(self, key: bytes) -> bool:
        return super().remove(self.exact(key))

    def following(self, key: bytes | None) -> bytes | None:
        return super().following(None if key is None else self.exact(key))
