"""Maps that are there already: by id, by pin; and a map that is pinned by name, shared by all who ask for it."""

from __future__ import annotations

import errno

from purebpf.errors import Error, KernelError
from purebpf.kernel import pins
from purebpf.kernel.descriptor import Descriptor
from purebpf.kernel.errors import failure
from purebpf.kernel.info import map_info, object_type
from purebpf.kernel.map import BPF_F_RDONLY_PROG, KernelMap, adjusted, create_map
from purebpf.kernel.syscall import bpf
from purebpf.spec import MapSpec
from purebpf.tables.enums import Command, MapType

DEVICES = frozenset({MapType.DEVMAP, MapType.DEVMAP_HASH})  # the kernel adds BPF_F_RDONLY_PROG to their flags
ATTEMPTS = 10


def spec_of(descriptor: Descriptor) -> MapSpec:
    """What the kernel says about a map."""
    info = map_info(descriptor)
    try:
        type = MapType(info.type)
    except ValueError:
        raise Error(f"{descriptor.what} is of type {info.type}, which is not known here.") from None
    return MapSpec(
        info.name, type, info.key_size, info.value_size, info.max_entries, info.flags, frozen=info.frozen, extra=info.extra
    )


def map_by_id(number: int) -> KernelMap:
    """A map by its id (Linux 4.13). Raises Error when there is none."""
    what = f"the map with id {number}"
    answer = bpf(Command.MAP_GET_FD_BY_ID, {"map_id": number})
    if answer == -errno.ENOENT:
        raise Error(f"There is no map with id {number}.")
    if answer < 0:
        raise failure(-answer, f"Opening {what}", needs=("CAP_SYS_ADMIN",), first=(4, 13), feature="maps by their id")
    return _opened(Descriptor(answer, what))


def map_by_pin(path: str) -> KernelMap:
    """A pinned map. Raises Error when there is no such pin, or it is of something else."""
    found = _pinned(path)
    if found is None:
        raise Error(f"There is no pin {path}.")
    return found


def _pinned(path: str) -> KernelMap | None:
    descriptor = pins.opened(path, f"the map pinned at {path}")
    if descriptor is None:
        return None
    kind = object_type(descriptor)
    if kind != "map":
        descriptor.close()
        raise Error(f"The pin {path} is of a {kind}, not of a map.")
    return _opened(descriptor)


def _opened(descriptor: Descriptor) -> KernelMap:
    try:
        return KernelMap(spec_of(descriptor), descriptor)
    except BaseException:
        descriptor.close()
        raise


def difference(wanted: MapSpec, there: MapSpec) -> str:
    """In words, how a map is another than the one that is wanted; "" when it can stand for it."""
    ignored = BPF_F_RDONLY_PROG if wanted.type in DEVICES else 0
    pairs = {
        "type": (wanted.type.name.lower(), there.type.name.lower()),
        "key_size": (wanted.key_size, there.key_size),
        "value_size": (wanted.value_size, there.value_size),
        "max_entries": (wanted.max_entries, there.max_entries),
        "flags": (wanted.flags & ~ignored, there.flags & ~ignored),
        "extra": (wanted.extra, there.extra),
    }
    return ", ".join(f"{name} is {there}, not {wanted}" for name, (wanted, there) in pairs.items() if wanted != there)


def existing_map(spec: MapSpec, existing: str | int) -> KernelMap:
    """The map pinned at a path, or of an id, for the one that the spec describes. Raises Error when it is another."""
    found = map_by_id(existing) if isinstance(existing, int) else map_by_pin(existing)
    return _taken_for(spec, found)


def _taken_for(spec: MapSpec, found: KernelMap) -> KernelMap:
    if differs := difference(adjusted(spec), found.spec):
        found.close()
        raise Error(f"{found.descriptor.what.capitalize()} cannot be used as {spec.name!r}: {differs}.")
    return KernelMap(adjusted(spec), found.descriptor)


def shared_map(spec: MapSpec, path: str) -> KernelMap:
    """The map pinned at a path, or a new one that is from now on; `mechanism` tells which. Of several processes that ask at the
    same time one creates it. Raises Error when the map that is there differs."""
    for _ in range(ATTEMPTS):
        found = _pinned(path)
        if found is not None:
            found = _taken_for(spec, found)
            found.mechanism = "opened"
            return found
        made = create_map(spec)
        try:
            made.pin(path)
        except KernelError as error:
            made.close()
            if error.errno != errno.EEXIST:
                raise
            continue  # another process was quicker: take its map
        except BaseException:
            made.close()
            raise
        made.mechanism = "created"
        return made
    raise Error(f"The pin {path} comes and goes; nobody could get a map there.")
