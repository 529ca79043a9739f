"""Python that has no meaning in the kernel: for each construct the sentence, and what to write instead."""

from __future__ import annotations

import ast

HEAP = "a comprehension makes a heap object, which a program cannot have"
UNSUPPORTED: dict[type[ast.AST], tuple[str, str, str]] = {  # message, label, hint
    ast.Try: ("exceptions do not exist in the kernel", "", "test before: `v = m.get(k)`, `if v is not None:`"),
    ast.Raise: ("exceptions do not exist in the kernel", "", "return an error value instead"),
    ast.ClassDef: ("a class cannot be defined inside a program", "", "define it at module level with @bpf.struct"),
    ast.AsyncFunctionDef: ("`async` does not exist in the kernel", "", "write a plain function"),
    ast.AsyncFor: ("`async` does not exist in the kernel", "", "write a plain `for`"),
    ast.AsyncWith: ("`async` does not exist in the kernel", "", "write a plain block"),
    ast.Await: ("`await` does not exist in the kernel", "", "a program runs to its end at once"),
    ast.Yield: ("a program cannot be a generator", "", "send records to user space by a `bpf.RingBuf[T]`: `ring.emit(record)`"),
    ast.YieldFrom: (
        "a program cannot be a generator",
        "",
        "send records to user space by a `bpf.RingBuf[T]`: `ring.emit(record)`",
    ),
    ast.Import: ("`import` inside a program has no meaning", "", "import at module level"),
    ast.ImportFrom: ("`import` inside a program has no meaning", "", "import at module level"),
    ast.Global: (
        "`global` variables cannot be assigned in a program",
        "",
        "make it a field of a `@bpf.globals` class: `state.n += 1`",
    ),
    ast.Nonlocal: ("`nonlocal` has no meaning here", "", "return the value instead"),
    ast.Lambda: ("a lambda cannot be used in a program", "", "write a plain function at module level"),
    ast.Dict: ("a dict lives on the heap, which a program does not have", "", "use a map: `bpf.Hash[K, V](max_entries=...)`"),
    ast.Set: ("a set lives on the heap, which a program does not have", "", "use a tuple: `x in (1, 2, 3)`"),
    ast.ListComp: (
        HEAP,
        "",
        "write a `for` loop that fills an array: `v = bpf.array(u32, 8)`; or compute it at module level, as a tuple",
    ),
    ast.SetComp: (HEAP, "", "write a `for` loop; or compute it at module level, as a tuple"),
    ast.DictComp: (HEAP, "", "write a `for` loop that fills a map: `m[key] = value`"),
    ast.GeneratorExp: (
        "a generator cannot be used here",
        "",
        "write it directly inside `any`, `all`, `sum`, `min` or `max`; else a `for` loop",
    ),
    ast.JoinedStr: (
        "an f-string can only be printed",
        "",
        'use it directly in `bpf.printk(f"...")`, or send its values in a record and format them in user space',
    ),
    ast.Starred: ("`*` unpacking is not available in a program", "", "name the items"),
}
if hasattr(ast, "TryStar"):
    UNSUPPORTED[ast.TryStar] = UNSUPPORTED[ast.Try]
