"""`python -m purebpf.tables.generate [--check] [NAME...]`: write the tables again, or check that they are up to date."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from purebpf.btf.reader import kernel_btf
from purebpf.tables.generate import attr, enums
from purebpf.tables.generate.kernelbtf import KernelBtf

HERE = Path(__file__).resolve().parent.parent
TABLES: dict[str, Callable[[KernelBtf], str]] = {"attr": lambda _: attr.render(kernel_btf()), "enums": enums.render}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m purebpf.tables.generate", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which tables (all): {', '.join(TABLES)}")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file would change")
    options = parser.parse_args()
    btf = KernelBtf()
    stale = 0
    for name in options.names or TABLES:
        target, text = HERE / f"{name}.py", TABLES[name](btf)
        if target.exists() and target.read_text() == text:
            print(f"{target.name}: up to date")
            continue
        stale += 1
        print(f"{target.name}: {'differs' if options.check else 'written'}")
        if not options.check:
            target.write_text(text)
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
