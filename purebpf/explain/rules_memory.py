"""Rejections about memory: packets, map values, the stack, the context, pointers that may be NULL."""

from __future__ import annotations

from purebpf.explain.rules import Rule

REG = r"R(?P<reg>\d+)"
AT = "ctx.packet.at(offset, T)"

MEMORY = (
    Rule(
        "packet_range",
        rf"invalid access to packet, off=(?P<off>-?\d+) size=(?P<size>\d+), {REG}\([^)]*\br=(?P<range>\d+)\)",
        "the packet may be too short here",
        "this needs {size} bytes at offset {off}; checked are {range}",
        "before the access compare the same register with the packet's end: `if (data + {end} > data_end) return ...`",
        f"read it by `{AT}` and test the result for None before it is used",
    ),
    Rule(
        "packet_range",
        r"invalid access to packet",
        "the packet may be too short here",
        hint="before the access compare the same register with the packet's end",
        python=f"read it by `{AT}` and test the result for None before it is used",
    ),
    Rule(
        "null_arithmetic",
        rf"{REG} pointer arithmetic on (?P<kind>\w*_or_null\w*) prohibited, null-check it first",
        "this reference may be NULL, and is moved before it is tested",
        "r{reg} is {where}",
        "test it for NULL first, the whole 64 bits and alone, then add to it",
        "test it first: `if x is not None:`",
    ),
    Rule(
        "maybe_null",
        rf"{REG} invalid mem access '(?P<kind>\w*_or_null\w*)'",
        "this reference may be NULL here",
        "r{reg} is {where}",
        "test it for NULL before the access: `if (!value) return ...`",
        "test it first: `if x is not None:`",
    ),
    Rule(
        "not_a_pointer",
        rf"{REG} invalid mem access '(?:scalar|inv)'",
        "a number is used as an address",
        "r{reg} is {where}",
        "the verifier does not know this as a pointer: it came from arithmetic, from memory, or through a cast; "
        "read kernel memory "
        "by bpf_probe_read_kernel (bpf_core_read), user memory by bpf_probe_read_user",
        "an address read from memory is an integer: read what it points to with `bpf.read_user` or `bpf.read_kernel`",
    ),
    Rule(
        "wrong_memory",
        rf"{REG} invalid mem access '(?P<kind>\w+)'",
        "this kind of pointer cannot be read or written through",
        "r{reg} is {where}",
        "only memory can be: the packet, a map's value, the stack, the context",
    ),
    Rule(
        "map_value_range",
        r"invalid access to map value, value_size=(?P<size>\d+) off=(?P<off>-?\d+) size=(?P<count>\d+)",
        "this may be outside of the map's value",
        "{count} bytes at {off} of {size}",
        "bound the index before it is used, on the same register: `if (i >= N) return ...` or `i &= N - 1`",
        "bound the index first: `if i < N:`",
    ),
    Rule(
        "memory_range",
        r"invalid access to (?:memory|\w+ buffer), (?:mem_size|buf_size"
        r"|size)=(?P<size>\d+) off=(?P<off>-?\d+) size=(?P<count>\d+)",
        "this may be outside of the memory it belongs to",
        "{count} bytes at {off} of {size}",
        "keep offset + size within the memory that was reserved; bound a variable offset first",
    ),
    Rule(
        "unbounded_access",
        rf"{REG} unbounded memory access, make sure to bounds check",
        "the index has no upper bound that the verifier knows",
        "r{reg} is {where}",
        "bound it on the very register that is used: `if (i >= N) return ...`, or `i &= N - 1`",
        "bound the index first: `if i < N:`",
    ),
    Rule(
        "negative_minimum",
        rf"{REG} min value is negative, either use unsigned index",
        "the index may be negative",
        "r{reg} is {where}",
        "use an unsigned type for it, or test it: `if (i < 0) return ...`",
        "use an unsigned type, or test it: `if 0 <= i < N:`",
    ),
    Rule(
        "beyond_maximum",
        rf"{REG} max value is outside of the (?:allowed memory range|array range)",
        "the index may be too large",
        "r{reg} is {where}",
        "bound it so that index + size fits",
        "bound the index first: `if i < N:`",
    ),
    Rule(
        "misaligned_stack",
        r"misaligned (?:stack )?access off (?P<off>.*?) size (?P<size>\d+)",
        "this access is not aligned to its size",
        "{size} bytes at {off}",
        "stack and context are accessed at multiples of the size: align the variable or the field",
    ),
    Rule(
        "uninitialised_stack",
        r"invalid (?:indirect )?(?:read from|access to) stack (?:R(?P<reg>\d+) )?off=? ?(?P<off>-?\d+)\+(?P<at>\d+)"
        r" size=? ?(?P<size>\d+)",
        "a part of the stack is read that was not written",
        "{size} bytes at {off}, of which byte {at} is not written",
        "initialise the whole variable, its padding too: `struct key k = {};` or memset (since Linux 6.3 a "
        "privileged program need not)",
    ),
    Rule(
        "stack_range",
        r"invalid (?:indirect )?(?:unbounded )?(?:variable-offset )?(?:write to|read from|access to|indirect access to) stack"
        r" (?:R(?P<reg>\d+) )?(?:off=(?P<off>-?\d+) size=(?P<size>\d+)|var_off=\S+)"
        r"|invalid stack type R(?P<old>\d+) off=(?P<oldoff>-?\d+) access_size=(?P<oldsize>\d+)",
        "this access is outside of the stack, or of what was written there",
        "{size}{oldsize} bytes at {off}{oldoff}",
        "a frame has 512 bytes, at offsets -512 to -1; keep what is larger in a map, and bound a variable index",
    ),
    Rule(
        "packet_read_only",
        r"cannot write into packet|helper access to the packet is not allowed",
        "a program of this type may not do this with the packet's memory",
        hint="read it by bpf_skb_load_bytes and write it by bpf_skb_store_bytes, or copy it to the stack first",
    ),
    Rule(
        "read_only",
        rf"{REG} cannot write into (?P<kind>\w+)|only read is supported",
        "this memory cannot be written",
        "r{reg} is {where}",
        "kernel objects and read-only memory can only be read; what may be written is a map's value, the stack, the packet",
    ),
    Rule(
        "kernel_object_range",
        r"access beyond (?:struct (?P<name>\w+)|the end of member \w+ \(.*?\) in struct \w+|\w+) (?:at|with|\().*",
        "this is outside of the kernel object",
        "struct {name}",
        "the running kernel's type is smaller or other than the one compiled for: use CO-RE (BPF_CORE_READ), not a "
        "copy of the struct",
    ),
    Rule(
        "null_argument",
        r"Possibly NULL pointer passed to (?:trusted |helper )?arg(?P<arg>\d+)",
        "this argument may be NULL",
        "argument {arg}",
        "test it for NULL before the call",
        "test it first: `if x is not None:`",
    ),
)
