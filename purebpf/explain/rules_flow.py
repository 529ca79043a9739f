"""Rejections about the shape of a program: loops, size, calls, jumps."""

from __future__ import annotations

from purebpf.explain.rules import Rule

FLOW = (
    Rule(
        "infinite_loop",
        r"infinite loop detected at insn (?P<slot>\d+)",
        "this loop does not end",
        "the verifier came back here with nothing changed",
        "let the loop's condition depend on a counter that changes in every round and has a constant bound",
        "loop over a `range`, or let the condition depend on a counter that changes in every round",
    ),
    Rule(
        "back_edge",
        r"back-edge from insn (?P<slot>\d+) to (?P<target>\d+)",
        "this program may not loop",
        "a jump back to instruction {target}",
        "loops need Linux 5.3 and CAP_BPF; without them unroll the loop",
    ),
    Rule(
        "too_many_instructions",
        r"BPF program is too large\. Processed (?P<count>\d+) insn",
        "the program is too complex: the verifier gave up after {count} instructions",
        "the verifier was here when it gave up; every round of a loop and every branch in it counts",
        "make loops shorter and branches in them fewer, or use bpf_loop (Linux 5.17) or an open-coded iterator "
        "(6.4), whose body is "
        "verified once; or split the program by tail calls",
        "make the loop shorter or take branches out of it; a body moved to a function for `bpf.loop` is verified "
        "once; or split the "
        "program by tail calls",
    ),
    Rule(
        "too_many_jumps",
        r"The sequence of (?P<count>\d+) jumps is too complex",
        "the program has too many branches in a row ({count})",
        "the verifier was here when it gave up",
        "it keeps at most 8,192 branches waiting: fewer branches inside loops, a table instead of a chain of tests, "
        "or tail calls",
    ),
    Rule(
        "unreachable",
        r"unreachable insn (?P<slot>\d+)",
        "this instruction can never be reached",
        hint="remove it, or jump to it; a function that nobody calls counts too",
    ),
    Rule(
        "jump_out_of_range",
        r"jump out of range from insn (?P<slot>\d+) to (?P<target>\d+)",
        "a jump leaves the program or its function",
        "to instruction {target}",
        "jumps stay within one function; the distance counts slots from the next instruction, a wide load has two",
    ),
    Rule(
        "falls_off",
        r"last insn is not an exit or jmp|no exit/jump at end of program|invalid BPF program: fell off",
        "the program, or a function in it, can run past its end",
        hint="end every function by exit or a jump back",
        whole=True,
    ),
    Rule(
        "combined_stack",
        r"combined stack size of (?P<count>\d+) calls is (?P<size>\d+)\. Too large",
        "the functions that call one another need too much stack together: {size} bytes in {count} calls",
        hint="all frames of a chain of calls share 512 bytes: make buffers smaller, inline a function, or keep data "
        "in a per-CPU map",
        whole=True,
    ),
    Rule(
        "call_depth",
        r"the call stack of (?P<count>\d+) frames is too deep|recursive call from (?P<who>\S+) to|recursive call",
        "functions call one another too deeply",
        hint="a chain of calls has at most 8 functions (16 on Linux 7.2 and later), and no recursion: inline some, "
        "or use tail calls",
    ),
    Rule(
        "tail_call_in_function",
        r"tail_calls? (?:is|are) not allowed in (?:subprogs without BTF|non-JITed programs with bpf-to-bpf calls"
        r"|programs with bpf-to-bpf calls)",
        "a tail call from a program that has functions",
        hint="do the tail call in the main program, or load BTF with the functions (Linux 5.10, x86-64 first) and a JIT",
        whole=True,
    ),
    Rule(
        "tail_call_stack",
        r"tail_calls are not allowed when call stack of previous frames is (?P<size>\d+) bytes",
        "a tail call below functions that use too much stack: {size} bytes",
        hint="the frames above a tail call may have 256 bytes together: use less stack there, or do the tail call "
        "in the main program",
        whole=True,
    ),
    Rule(
        "left_locked",
        r"BPF_EXIT instruction in main prog cannot be used inside (?P<what>\S+)-ed region"
        r"|(?P<what2>bpf_\w+)-ed region\(s\) (?:is|are) missing|bpf_(?P<what3>spin|rcu_read|preempt"
        r"|local_irq)_?(?:un)?lock(?:-ed region)? is missing",
        "the program ends inside a locked region",
        "{what}{what2}{what3}",
        "unlock on every path before the program ends",
    ),
    Rule(
        "unknown_instruction",
        r"unknown opcode (?P<code>[0-9a-f]+)|invalid BPF_\w+ (?:opcode|insn)|uses reserved fields|R\d+ is invalid$",
        "the kernel does not know this instruction",
        hint="it is newer than the kernel, or its unused fields are not zero: compile for a lower level (clang's "
        "-mcpu=v1 to v4)",
    ),
)
