"""`purebpf explain`: a verifier's log in words, whatever compiler and loader it is from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import click

from purebpf.cli.usage import Command
from purebpf.errors import Error

if TYPE_CHECKING:
    from purebpf.explain import Explanation

LARGEST = 1 << 30


@click.command(
    cls=Command,
    examples=("bpftool prog load x.o /sys/fs/bpf/x 2>&1 | purebpf explain -", "purebpf explain rejected.log --json"),
    short_help="Explain why the kernel's verifier rejected a program.",
)
@click.argument("file", metavar="LOGFILE", type=click.File("rb"))
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as JSON.")
def explain(file: BinaryIO, as_json: bool) -> None:
    """Explain the verifier's log in LOGFILE (`-`: standard input): what was rejected, where, why, and what to do.

    The log may be of any loader (libbpf, bpftool, cilium/ebpf, Aya, purebpf) and of Linux 5.10 or later, at level 1 or 2.
    """
    from purebpf.explain import explain as explained
    from purebpf.explain.log import is_log
    from purebpf.rejection import shown

    text = file.read(LARGEST).decode("utf-8", "replace")
    explanation = explained(text)
    given = getattr(file, "name", "<stdin>")
    name = "standard input" if given == "<stdin>" else given
    if explanation is None and is_log(text):
        raise Error(f"{name} is a verifier's log, but has no rejection in it: it was accepted, or its end is cut")
    if explanation is None:
        raise Error(
            f"{name} is no verifier's log: what the loader printed is needed, with lines such as "
            "`12: (79) r1 = *(u64 *)(r0 +0)` or `processed 13 insns`"
        )
    click.echo(as_text(explanation) if as_json else shown(explanation.message, explanation))


def as_text(explanation: Explanation) -> str:
    """The explanation as JSON; what is not known is null or empty."""
    import json
    from dataclasses import asdict

    def as_dict(value: Any) -> dict[str, object]:
        """Of classes that `purebpf.data` makes."""
        return {name: getattr(value, name) for name in value.__match_args__}

    return json.dumps(asdict(explanation), default=as_dict, indent=2, ensure_ascii=False)
