"""`python -m purebpf.tables.generate [--check] [NAME...]`: write the tables again, or check that they are up to date.

`--measure` prints a record of what the running kernel's verifier says (facts/measured-RELEASE.tsv), `--prototypes DIR` writes
facts/prototypes.tsv from the UAPI headers in DIR. Both feed the tables and are needed only for a new kernel.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from purebpf.tables.generate import enums, helpers, measured
from purebpf.tables.generate.kernelbtf import KernelBtf

HERE = Path(__file__).resolve().parent.parent
TABLES: dict[str, Callable[[], str]] = {
    "enums": lambda: enums.render(KernelBtf()),
    "helper_rows": helpers.render,
}


def write(target: Path, text: str, check: bool) -> bool:
    """Whether the file was up to date; writes it if not, unless it is only to be checked."""
    if target.exists() and target.read_text() == text:
        print(f"{target.name}: up to date")
        return True
    print(f"{target.name}: {'differs' if check else 'written'}")
    if not check:
        target.write_text(text)
    return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m purebpf.tables.generate", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which tables (all): {', '.join(TABLES)}")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file would change")
    parser.add_argument("--measure", action="store_true", help="print what the running kernel allows; needs root")
    parser.add_argument("--prototypes", type=Path, metavar="DIR", help="headers of Linux 6.2 or newer, such as /usr/include")
    options = parser.parse_args()
    unknown = set(options.names) - TABLES.keys()
    if unknown:
        parser.error(f"there is no table {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")
    if options.measure:
        sys.stdout.write(measured.measure(helpers.read_prototypes()))
        return 0
    if options.prototypes:
        write(measured.FACTS / "prototypes.tsv", helpers.write_prototypes(options.prototypes), False)
        return 0
    results = [write(HERE / f"{name}.py", TABLES[name](), options.check) for name in options.names or TABLES]
    return 1 if options.check and not all(results) else 0


if __name__ == "__main__":
    raise SystemExit(main())
