"""Where a program may be defined: wherever Python keeps its source; and what is said where it does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import purebpf as bpf

ROOT = Path(__file__).parents[2]
PROGRAM = "@bpf.xdp\ndef program(ctx):\n    return bpf.XDP_DROP if len(ctx.packet) > 20 else bpf.XDP_PASS\n"
RUN = 'print("result", program.run(packet=bytes(64), engine="vm").value)\n'
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def python(*arguments: str, stdin: str = "", executable: str = sys.executable) -> str:
    done = subprocess.run([executable, *arguments], input=stdin, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    return done.stdout + done.stderr


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_in_a_file(tmp_path: Path, future: str) -> None:
    file = tmp_path / "program.py"
    file.write_text(future + "import purebpf as bpf\n" + PROGRAM + RUN)
    assert "result 1" in python(str(file))


def test_in_an_installed_package(tmp_path: Path) -> None:
    package = tmp_path / "someone"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "programs.py").write_text("import purebpf as bpf\n" + PROGRAM)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom someone.programs import program\n" + RUN
    assert "result 1" in python("-c", code)


def test_in_a_zip_archive(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "someone.zip", "w") as archive:
        archive.writestr("programs.py", "import purebpf as bpf\n" + PROGRAM)
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'someone.zip')!r})\nfrom programs import program\n" + RUN
    assert "result 1" in python("-c", code)


def test_inside_a_function() -> None:
    limit = 30

    @bpf.xdp
    def program(ctx: bpf.XdpContext) -> bpf.XdpAction:
        return bpf.XDP_DROP if len(ctx.packet) > limit else bpf.XDP_PASS

    with program.load("vm"):
        assert program.run(packet=bytes(64)).value == bpf.XDP_DROP
        assert program.run(packet=bytes(20)).value == bpf.XDP_PASS


def test_a_factory_makes_different_programs() -> None:
    def drop_above(limit: int) -> bpf.Program:
        @bpf.xdp
        def program(ctx: bpf.XdpContext) -> bpf.XdpAction:
            return bpf.XDP_DROP if len(ctx.packet) > limit else bpf.XDP_PASS

        return program

    small, large = drop_above(20), drop_above(50)
    with bpf.load(small, large, engine="vm") as collection:
        assert set(collection.spec.programs) == {"program", "program_2"}
        assert small.run(packet=bytes(40)).value == bpf.XDP_DROP
        assert large.run(packet=bytes(40)).value == bpf.XDP_PASS


def test_on_the_command_line() -> None:
    assert "result 1" in python("-c", "import purebpf as bpf\n" + PROGRAM + RUN)


def test_errors_on_the_command_line_show_the_line() -> None:
    code = "import purebpf as bpf\n" + PROGRAM.replace("bpf.XDP_PASS", "ctx.nope") + "program.compiled()\n"
    told = python("-c", code)
    assert "has no field `nope`" in told and "else ctx.nope" in told


def test_in_ipython_and_notebook_cells() -> None:
    pytest.importorskip("IPython", reason="IPython is not installed (pip install purebpf[dev])")
    cells = ["import purebpf as bpf", PROGRAM, RUN, PROGRAM.replace("> 20", "> 100"), RUN]
    code = "from IPython.core.interactiveshell import InteractiveShell\nshell = InteractiveShell.instance()\n"
    told = python("-c", code + "".join(f"shell.run_cell({cell!r})\n" for cell in cells))
    assert [line for line in told.splitlines() if line.startswith("result")] == ["result 1", "result 2"]


def prompt(executable: str) -> str:
    """A session at the plain prompt, on a terminal of its own."""
    import pty
    import time

    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"PYTHONPATH": str(ROOT), "TERM": "dumb", "PYTHON_BASIC_REPL": "1"}
        os.execv(executable, [executable, "-q"])
    text = b""
    try:
        for line in ["import purebpf as bpf", *PROGRAM.splitlines(), "", RUN.strip(), "exit()"]:
            time.sleep(0.3)
            os.write(terminal, line.encode() + b"\n")
        while chunk := os.read(terminal, 4096):
            text += chunk
    except OSError:
        pass  # the session has ended
    finally:
        os.waitpid(pid, 0)
        os.close(terminal)
    return text.decode(errors="replace")


def test_at_the_prompt_of_python_3_13() -> None:
    """From 3.13 on the prompt keeps what was typed."""
    beside = [str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.1[3-9]*/bin/python3"))]
    named = [path for name in ("python3.14", "python3.13") if (path := shutil.which(name))]
    found = next((path for path in (*beside, *named) if python("--version", executable=path).startswith("Python 3.1")), None)
    if found is None:
        pytest.skip("no Python 3.13 or later is installed beside this one")
    assert "result 1" in prompt(found)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="this Python keeps the source of what is typed")
def test_at_the_prompt_of_an_older_python() -> None:
    told = prompt(sys.executable)
    assert "keeps no source of what is typed at its prompt" in told and "use IPython or a notebook" in told


def test_through_exec() -> None:
    names: dict[str, object] = {"bpf": bpf}
    exec(compile(PROGRAM, "<made up>", "exec"), names)
    program = names["program"]
    assert isinstance(program, bpf.Program)
    with pytest.raises(bpf.CompileError, match="is not to be found"):
        program.compiled()


def test_a_lambda() -> None:
    program = bpf.xdp(lambda ctx: 2)
    with pytest.raises(bpf.CompileError, match="a lambda cannot be a kernel function"):
        program.compiled()


def test_two_decorators() -> None:
    with pytest.raises(bpf.Error, match="two program decorators"):

        @bpf.xdp
        @bpf.tc
        def program(ctx: bpf.TcContext) -> int:
            return 0


def test_a_program_is_not_called_as_a_function() -> None:
    @bpf.xdp
    def program(ctx: bpf.XdpContext) -> bpf.XdpAction:
        return bpf.XDP_PASS

    with pytest.raises(bpf.Error, match="is a kernel program"):
        program(None)
