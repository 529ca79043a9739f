"""`python -m purebpf.tables.generate [--check] [NAME...]`: write the tables again, or check that they are up to date.

`--measure` prints a record of what the running kernel's verifier says (facts/measured-RELEASE.tsv), `--prototypes` writes
facts/prototypes.tsv from the UAPI headers, `--contexts` prints facts/contexts.tsv. These feed the tables and
are needed only for a new kernel.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from purebpf.btf.running import kernel_btf
from purebpf.tables.generate import attr, constants, contexts, enums, helpers, kfuncs, measured, since
from purebpf.tables.generate.kernelbtf import KernelBtf

HERE = Path(__file__).resolve().parent.parent
HEADERS = Path("/usr/include")
TABLES: dict[str, Callable[[Path], str]] = {
    "enums": lambda headers: enums.render(KernelBtf()),
    "helper_rows": lambda headers: helpers.render(),
    "context_rows": lambda headers: contexts.render(),
    "kfunc_rows": lambda headers: kfuncs.render(),
    "since_rows": lambda headers: since.render(),
    "attr": lambda headers: attr.render(kernel_btf()),
    "constant_rows": lambda headers: constants.render(headers, libc(), KernelBtf()),
}


def libc() -> Path:
    """Where the C library's own headers are: a directory named after the machine, or the common one."""
    multiarch = HEADERS / f"{os.uname().machine}-linux-gnu"
    return multiarch if (multiarch / "bits").is_dir() else HEADERS


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
    parser.add_argument("--contexts", action="store_true", help="print what the running kernel's contexts are; needs root")
    parser.add_argument("--prototypes", action="store_true", help="write facts/prototypes.tsv from the headers")
    parser.add_argument(
        "--headers", type=Path, default=HEADERS, metavar="DIR", help="UAPI headers of Linux 6.2 or newer (%(default)s)"
    )
    options = parser.parse_args()
    unknown = set(options.names) - TABLES.keys()
    if unknown:
        parser.error(f"there is no table {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")
    if options.measure:
        sys.stdout.write(measured.measure(helpers.read_prototypes()))
        return 0
    if options.contexts:
        sys.stdout.write(contexts.measure())
        return 0
    if options.prototypes:
        write(measured.FACTS / "prototypes.tsv", helpers.write_prototypes(options.headers), False)
        return 0
    results = [write(HERE / f"{name}.py", TABLES[name](options.headers), options.check) for name in options.names or TABLES]
    return 1 if options.check and not all(results) else 0


if __name__ == "__main__":
    raise SystemExit(main())
