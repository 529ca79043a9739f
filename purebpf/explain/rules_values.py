"""Rejections about registers: not written, pointer arithmetic, addresses that leak, results."""

from __future__ import annotations

from purebpf.explain.rules import Rule

REG = r"R(?P<reg>\d+)"

VALUES = (
    Rule(
        "no_result",
        r"R0 !read_ok",
        "the program ends, or a value is used, without a result in r0",
        hint="set the result on every path: `return ...`; a call takes r0 for its own result",
    ),
    Rule(
        "uninitialised_register",
        rf"{REG} !read_ok",
        "a register is read that has no value on this path",
        "r{reg} was not written, or lost by a call",
        "give the variable a value on every path; a call takes r1 to r5 away, so what is needed after it belongs in r6 to r9",
    ),
    Rule(
        "frame_pointer",
        r"frame pointer is read only",
        "r10 is written to",
        "r10 is the frame pointer",
        "copy it to another register and move that one",
    ),
    Rule(
        "pointer_32_bit",
        rf"{REG} 32-bit pointer arithmetic prohibited",
        "32-bit arithmetic on a pointer",
        "r{reg} is {where}",
        "calculate with the whole register; do not keep a pointer in a 32-bit type",
    ),
    Rule(
        "pointer_operator",
        rf"{REG} (?:pointer arithmetic with|bitwise operator) (?P<operator>\S+)(?: operator|on pointer)? ?prohibited"
        rf"|{REG.replace('reg', 'other')} bitwise operator (?P<bitwise>\S+) on pointer prohibited",
        "only addition and subtraction are possible on a pointer",
        "`{operator}{bitwise}` on r{reg}{other}",
        "calculate the offset as a number first, then add it to the pointer once",
    ),
    Rule(
        "pointer_plus_pointer",
        rf"{REG} pointer \+= pointer prohibited",
        "two pointers are added",
        "r{reg} is {where}",
        "add a number to a pointer; the difference of two packet pointers is a number",
    ),
    Rule(
        "pointer_minus",
        rf"{REG} (?:tried to subtract pointer from scalar|subtraction from stack pointer prohibited)",
        "this subtraction with a pointer is not possible",
        "r{reg} is {where}",
        "subtract a number from a pointer, or a packet pointer from another",
    ),
    Rule(
        "pointer_prohibited",
        rf"{REG} pointer arithmetic on (?P<kind>\w+) prohibited",
        "this kind of pointer cannot be moved",
        "r{reg} is {where}",
        "use it as it is: a map's address, the packet's end and kernel objects do not move; move the packet's begin instead",
    ),
    Rule(
        "unbounded_pointer_math",
        r"value (?P<value>-?\d+) makes (?P<kind>\w+) pointer be out of bounds"
        r"|math between (?P<kind2>\w+) pointer and (?P<value2>-?\d+|register with unbounded min value|-?\w+) is not allowed"
        r"|(?P<kind3>\w+) pointer offset (?P<value3>-?\d+) is not allowed",
        "a pointer would move too far",
        "by {value}{value2}{value3}",
        "bound the number before it is added, below and above: `if (n > 1000) return ...`, with an unsigned type",
        "bound the offset first: `if n < 1000:`, with an unsigned type",
    ),
    Rule(
        "leaks_address",
        rf"{REG} leaks addr|leaking pointer from stack off|{REG.replace('reg', 'other')} pointer comparison prohibited",
        "an address of the kernel would leak",
        "r{reg}{other} is {where}",
        "store, return or compare numbers, not pointers; a program with CAP_PERFMON may in most places",
    ),
    Rule(
        "result_range",
        r"At (?:program|async callback|callback|subprogram) (?:exit"
        r"|return) the register R(?P<reg>\d+) has (?P<value>.*?) should have been in (?P<range>.*)",
        "the result is outside of what this program type may return",
        "r{reg} is {where}; it may be {range}",
        "return one of the values of this program type, on every path; bound one that is calculated",
    ),
    Rule(
        "result_range",
        r"At program exit the register R(?P<reg>\d+) is not a known value",
        "the result is not a number that the verifier knows",
        "r{reg} is {where}",
        "return a number",
    ),
    Rule("divides_by_zero", r"div by zero", "a division by the constant 0", hint="divide by another number, or test it first"),
    Rule(
        "shift_too_far",
        r"invalid shift (?P<count>-?\d+)",
        "a shift by {count} bits",
        hint="a shift is by 0 to 63 bits, of 32-bit registers by 0 to 31",
    ),
)
