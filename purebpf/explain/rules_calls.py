"""Rejections about calls: helpers and kernel functions, their arguments, references, locks; and the context."""

from __future__ import annotations

from purebpf.explain.rules import Rule

REG = r"R(?P<reg>\d+)"

CALLS = (
    Rule(
        "core_poison",
        r"failed to resolve CO-RE relocation <\w+> \[\d+\] \w+ (?P<what>[^ (]+)",  # libbpf's, in place of the verifier's words
        "this kernel has no `{what}` as the program knows it",
        "a CO-RE relocation could not be resolved, and its instruction was made invalid",
        "guard the access by bpf_core_field_exists or bpf_core_type_exists, or choose a field that this kernel has",
    ),
    Rule(
        "core_poison",
        r"invalid func unknown#195896080|unrecognized CO-RE relocation|<invalid CO-RE relocation>",
        "this needs a type or field that the kernel does not have",
        "a CO-RE relocation could not be resolved, and its instruction was made invalid",
        "guard the access by bpf_core_field_exists or bpf_core_type_exists, or choose a field that this kernel has",
        'guard it: `if bpf.exists(T, "field"):`',
    ),
    Rule(
        "unknown_helper",
        r"invalid func (?P<name>\w+#\d+)",
        "this kernel does not have the helper {name}",
        hint="a newer kernel may have it: the number is that of the list in include/uapi/linux/bpf.h",
    ),
    Rule(
        "helper_of_other_type",
        r"(?:program of this type cannot use helper|unknown func) (?P<name>\w+)#\d+",
        "a program of this type may not call {name}",
        hint="use a helper that is open to this type, or another program type; kernels open more helpers to more "
        "types over time",
    ),
    Rule(
        "gpl_only",
        r"cannot call GPL-restricted function from non-GPL compatible program|from non-GPL compatible",
        "this helper is only for programs under a licence that is compatible with the GPL",
        hint='declare one: `char LICENSE[] SEC("license") = "GPL";`',
        python='say `bpf.license("GPL")` (or "Dual MIT/GPL" and the like) in the module',
    ),
    Rule(
        "kfunc_not_allowed",
        r"calling kernel function (?P<name>\w+) is not allowed",
        "a program of this type may not call the kernel function {name}",
        hint="each kernel function is open to some program types only: see where it is registered, or use another type",
    ),
    Rule(
        "device_bound",
        r"metadata kfuncs require device-bound program",
        "a program that asks a device about packets must be loaded for that device",
        hint="load it with the interface's index and BPF_F_XDP_DEV_BOUND_ONLY, and attach it to that interface",
        python='attach it without loading it before: `program.attach("eth0")`',
    ),
    Rule(
        "sleeps",
        r"must be sleepable to call sleepable kfunc (?P<name>\w+)|sleepable helper (?P<helper>\w+)"
        r"|kernel func (?P<kfunc>\w+) is sleepable|helper call (?:might sleep|is not allowed in non-sleepable)",
        "this call may sleep, and the program may not",
        "{name}{helper}{kfunc}",
        "load the program as sleepable (a section such as fentry.s, lsm.s or uprobe.s), and call it outside of "
        "locks and RCU regions",
    ),
    Rule(
        "dead_lock",
        r"Locking two \w+ are not allowed|(?:already|AA) dead-?lock|held lock.*deadlock",
        "a second lock is taken while one is held",
        hint="a program holds one bpf_spin_lock at a time: release the first before taking another",
    ),
    Rule(
        "unlock",
        r"(?P<what>\w+_unlock) (?:without taking a lock|of different lock|cannot be out of order)",
        "{what} of what is not locked here",
        hint="unlock the very lock that was taken, once, on every path, in the reverse order",
    ),
    Rule(
        "lock_call",
        r"(?:function|helper) calls? (?:are|is) not allowed while holding a lock|tail_call is not allowed inside.*lock",
        "a call while a lock is held",
        hint="between lock and unlock only memory may be read and written: make the call before or after",
    ),
    Rule(
        "lock_type",
        r"map '(?P<map>[^']*)' has (?:to have BTF in order to use|no valid|more than one) '?(?P<what>[\w ]+)'?",
        "the value of map `{map}` has no {what} that the kernel knows",
        hint="declare the lock as one field of the value's struct, in a map that is created with BTF",
    ),
    Rule(
        "unreleased",
        r"Unreleased reference id=(?P<id>\d+) alloc_insn=(?P<slot>\d+)",
        "what is acquired here is not released on every path",
        "acquired here; a path to the end does not release it",
        "release it on every path, also on those that return early: a ring buffer record is submitted or discarded, "
        "a socket released",
        "use `with ring.reserve() as e:`, which releases it however the block is left",
    ),
    Rule(
        "released_twice",
        rf"release (?:helper|kernel function|kfunc) (?P<name>\w+) expects.*"
        rf"|{REG} must be referenced when passed to release function"
        r"|reference has not been acquired before|arg \d+ is an unacquired reference",
        "this is released without having been acquired, or twice",
        "r{reg} is {where}",
        "release exactly what an acquiring call gave, once, and do not use it afterwards",
    ),
    Rule(
        "context_access",
        r"BPF_ST stores into R\d+ ctx is not allowed",
        "this field of the context cannot be written",
        hint="most fields can only be read; the table of the program type says which can be written",
    ),
    Rule(
        "context_access",
        r"invalid bpf_context access off=(?P<off>-?\d+) size=(?P<size>\d+)",
        "this program type has no such access to its context",
        "{size} bytes at offset {off}",
        "use a field that this type has, in its own size; many can only be read, and some kernels have fewer",
    ),
    Rule(
        "context_moved",
        r"dereference of modified ctx ptr R(?P<reg>\d+) off=(?P<off>-?\d+) disallowed|variable ctx access var_off=",
        "the context is read through a pointer that was moved",
        "r{reg} is {where}",
        "read fields at constant offsets from the context itself: keep the compiler from calculating the address first "
        "(a volatile read, or a barrier), and do not index into it",
    ),
    Rule(
        "argument_type",
        rf"{REG} type=(?P<got>\w+) expected=(?P<wanted>.*?)[, ]*$",
        "the argument r{reg} is of the wrong kind",
        "r{reg} is {where}; it may be {wanted}",
        "pass what the function expects; a reference that may be NULL is tested before",
        "pass what the function expects; a reference that may be None is tested first: `if x is not None:`",
    ),
    Rule(
        "argument_type",
        r"arg(?:ument)? ?#?(?P<arg>\d+) (?P<got>.*?(?:expected|must be|should be|type).*)",
        "an argument is of the wrong kind",
        "argument {arg}: {got}",
        "pass what the function expects",
    ),
    Rule(
        "dynptr",
        r"Expected an? (?:un)?initialized dynptr as (?:arg|R)(?: #)?(?P<arg>\d+)|cannot (?:pass in|overwrite).*dynptr",
        "this dynptr is not in the state that the call expects",
        hint="initialise it by bpf_dynptr_from_..., do not copy it or write over it, and release it once",
    ),
    Rule(
        "wrong_map",
        r"cannot pass map_type (?P<type>\d+) into func (?P<name>\w+)#",
        "{name} does not work on this type of map",
        "the map is of type {type}",
        "use a map of a type that this helper is for",
    ),
    Rule(
        "map_forbidden",
        r"(?P<what>write into|read from) map forbidden",
        "the program may not {what} this map",
        hint="the map was created or frozen as read-only (or write-only) for programs: write to another, or from user space",
    ),
    Rule(
        "size_unbounded",
        rf"{REG} unbounded memory access, use 'var &= const'",
        "the size has no upper bound that the verifier knows",
        "r{reg} is {where}",
        "bound it just before the call, in the register that is passed: `if (n > sizeof(buffer)) return ...`",
        "bound it first: `if n <= N:`",
    ),
    Rule(
        "size_negative",
        rf"{REG} min value is negative, either use unsigned or 'var &= const'",
        "the size may be negative",
        "r{reg} is {where}",
        "use an unsigned type for it, or test it from below too",
        "use an unsigned type, or test it from below too: `if 0 < n <= N:`",
    ),
    Rule(
        "size_zero",
        rf"{REG} invalid zero-sized read",
        "the size may be 0, and this call does not take that",
        "r{reg} is {where}",
        "test it: `if (n == 0) return ...`",
        "test it: `if n > 0:`",
    ),
    Rule(
        "two_kinds",
        r"same insn cannot be used with different pointers",
        "one access is reached with pointers of different kinds",
        hint="make the access on each path by itself, so that each has one kind of pointer",
    ),
    Rule(
        "not_constant",
        rf"{REG} (?:is not a known constant|must be a known constant|is not a const)",
        "the argument r{reg} must be a constant",
        "r{reg} is {where}",
        "the verifier must know the value: pass a literal, or a read-only setting that is assigned before the "
        "program is loaded",
    ),
    Rule(
        "function_arguments",
        r"Caller passes invalid args into func#(?P<number>\d+)(?: \('(?P<name>[^']*)'\))?",
        "the function {name} is called with arguments that it does not take",
        hint="a global function is verified by its declaration alone: pass what its types say, with pointers that are not NULL",
    ),
    Rule(
        "attach_target",
        r"Tracing programs must provide btf_id|attach_btf_id \d+ is |FENTRY/FEXIT program can only be attached"
        r"|is not found in kernel",
        "the program has no such target in this kernel",
        hint="the function to attach to is missing, inlined, or not open to this type: look in /proc/kallsyms and "
        "in the kernel's BTF",
    ),
)
