"""`purebpf explain`: any loader's log in words, or as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from purebpf.cli.main import cli
from purebpf.errors import Error
from tests.cli.test_cli import purebpf
from tests.explain.test_foreign import LIBBPF


def run(*words: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(cli, ["explain", *words], input=stdin)


def test_a_log_is_told_with_its_c_line() -> None:
    output = run("-", stdin=LIBBPF).output
    assert output.startswith("error: the packet may be too short here\n   --> count.bpf.c:25:1\n")
    assert "25 | if (eth->h_proto != bpf_htons(ETH_P_IP))\n   | ^^^^" in output
    assert "   = help: before the access compare" in output


def test_without_line_numbers_the_instruction_is_told() -> None:
    output = run("-", stdin=LIBBPF.replace(" @ count.bpf.c:25", "")).output
    assert output.startswith("error: the packet may be too short here\n  --> instruction 1\n  |\n  | if (eth->h_proto !=")
    lines = (line for line in LIBBPF.splitlines(True) if not line.startswith(";"))
    output = run("-", stdin="".join(lines)).output
    assert "\n  = instruction 1: r3 = *(u16 *)(r2 +12)\n" in output and "-->" not in output


def test_the_example_in_the_documentation_is_what_comes_out() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rejections.md").read_text()
    assert run("-", stdin=LIBBPF).output in page


def test_json_has_the_parts(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(LIBBPF)
    told = json.loads(run("--json", str(path)).output)
    assert (told["rule"], told["spot"]["slot"], told["spot"]["source"]["line"]) == ("packet_range", 1, 25)
    assert told["registers"] == {"r2": "packet, of which no byte is checked"} and told["processed"] == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("hello\n", "is no verifier's log"),
        ("", "is no verifier's log"),
        (b"\x7fELF\0\xff\xfe", "is no verifier's log"),
        ("0: (b7) r0 = 0\n1: (95) exit\nprocessed 2 insns (limit 1000000)\n", "has no rejection in it"),
    ],
)
def test_what_is_no_rejection_is_an_error(content: str | bytes, said: str) -> None:
    result = run("-", stdin=content)
    assert isinstance(result.exception, Error)
    assert str(result.exception).startswith("standard input is") and said in str(result.exception)


def test_run_log_asks_for_the_whole_log(tmp_path: Path) -> None:
    path = tmp_path / "prints.py"
    path.write_text('import os\n\nif __name__ == "__main__":\n    print(os.environ.get("PUREBPF_LOG", "short"))\n')
    assert purebpf("run", "--log", str(path)).stdout == "full\n"
    assert purebpf("run", str(path)).stdout == "short\n"
