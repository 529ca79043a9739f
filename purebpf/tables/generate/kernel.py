"""The few bpf(2) calls the generator measures with: create a map, load a program, read the verifier's log.

The layout of `union bpf_attr` comes from the kernel's own BTF, the commands from `enums.py`. Needs CAP_SYS_ADMIN (or CAP_BPF,
CAP_PERFMON and CAP_NET_ADMIN); everything opened is closed.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from dataclasses import dataclass

from purebpf.tables.enums import AttachType, Command, MapType, ProgramType
from purebpf.tables.generate.kernelbtf import KernelBtf

SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}
LOG_SIZE = 1 << 16


def instruction(opcode: int, dst: int = 0, src: int = 0, offset: int = 0, imm: int = 0) -> bytes:
    """One 8-byte slot (RFC 9669, section 3)."""
    return struct.pack("<BBhi", opcode, src << 4 | dst, offset, imm)


def move(dst: int, imm: int) -> bytes:
    return instruction(0xB7, dst, imm=imm)


def copy(dst: int, src: int) -> bytes:
    return instruction(0xBF, dst, src)


def call(helper: int) -> bytes:
    return instruction(0x85, imm=helper)


def load_map(dst: int, fd: int) -> bytes:
    return instruction(0x18, dst, 1, imm=fd) + instruction(0)


EXIT = instruction(0x95)


@dataclass(frozen=True, slots=True)
class Target:
    """What a program is loaded as: its type, and what that type needs to be loaded at all."""

    type: ProgramType
    attach: AttachType | None = None
    btf_id: int = 0
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the kernel said to a program: its errno (0: loaded) and the verifier's log."""

    errno: int
    log: str

    @property
    def reason(self) -> str:
        """The last line of the log that is about the program, not statistics."""
        lines = [
            line
            for line in self.log.splitlines()
            if line and not line.startswith(("processed ", "verification time", "stack "))
        ]
        return lines[-1] if lines else ""


class Kernel:
    """Raises OSError with EPERM from `load` and `create_map` when bpf(2) is not permitted."""

    def __init__(self, btf: KernelBtf) -> None:
        machine = platform.machine()
        if machine not in SYSCALL:
            raise ValueError(f"the number of bpf(2) on {machine} is not known here; measure on one of {', '.join(SYSCALL)}")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._number = SYSCALL[machine]
        self._log = ctypes.create_string_buffer(LOG_SIZE)
        self._program = btf.attribute("prog_type")
        self._map = btf.attribute("map_type")
        self._element = btf.attribute("map_fd")

    def _bpf(self, command: Command, layout: dict[str, tuple[int, int]], values: dict[str, int]) -> tuple[int, int]:
        attribute = bytearray(max(offset + size for offset, size in layout.values()))
        for name, value in values.items():
            offset, size = layout[name]
            attribute[offset : offset + size] = value.to_bytes(size, "little")
        buffer = (ctypes.c_char * len(attribute)).from_buffer(attribute)
        result = self._libc.syscall(self._number, int(command), buffer, len(attribute))
        return result, ctypes.get_errno() if result < 0 else 0

    def load(self, target: Target, code: bytes, license: bytes = b"GPL", level: int = 1) -> Verdict:
        """Load and close at once."""
        instructions = ctypes.create_string_buffer(code, len(code))
        licensed = ctypes.create_string_buffer(license)
        ctypes.memset(self._log, 0, 1)
        values = {
            "prog_type": int(target.type),
            "insn_cnt": len(code) // 8,
            "insns": ctypes.addressof(instructions),
            "license": ctypes.addressof(licensed),
            "log_level": level,
            "log_size": LOG_SIZE,
            "log_buf": ctypes.addressof(self._log),
            "prog_flags": target.flags,
            "expected_attach_type": int(target.attach or 0),
            "attach_btf_id": target.btf_id,
        }
        fd, errno = self._bpf(Command.PROG_LOAD, self._program, values)
        if fd >= 0:
            os.close(fd)
        return Verdict(errno, self._log.value.decode(errors="replace"))

    def create_map(self, type: MapType, key: int, value: int, entries: int, flags: int = 0, inner: int = 0) -> int:
        """A descriptor, to be closed by the caller. Raises OSError."""
        values = {"map_type": int(type), "key_size": key, "value_size": value, "max_entries": entries}
        values |= {"map_flags": flags, "inner_map_fd": inner}
        fd, errno = self._bpf(Command.MAP_CREATE, self._map, values)
        if fd < 0:
            raise OSError(errno, f"BPF_MAP_CREATE of {type.name} failed: {os.strerror(errno)}")
        return fd

    def map_command(self, command: Command, fd: int, key: bytes = b"", value: bytes = b"") -> None:
        """BPF_MAP_UPDATE_ELEM or BPF_MAP_FREEZE. Raises OSError."""
        key_buffer, value_buffer = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value, len(value))
        values = {"map_fd": fd}
        if key:
            values |= {"key": ctypes.addressof(key_buffer), "value": ctypes.addressof(value_buffer)}
        _result, errno = self._bpf(command, self._element, values)
        if errno:
            raise OSError(errno, f"BPF_{command.name} failed: {os.strerror(errno)}")
