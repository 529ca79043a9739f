"""What `--help` says: every command and option is explained, usage is in words, leaves have examples."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from purebpf.cli.main import cli
from purebpf.cli.usage import Command

ROOT = click.Context(cli, info_name="purebpf")


def all_of(group: click.Group, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        inner = click.Context(command, parent=ctx, info_name=name)
        yield inner.command_path, command
        if isinstance(command, click.Group):
            yield from all_of(command, inner)


COMMANDS = dict(all_of(cli, ROOT))


@pytest.mark.parametrize("path", COMMANDS)
def test_commands_and_options_are_explained(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    unexplained = [each.name for each in command.params if isinstance(each, click.Option) and not each.help]
    assert not unexplained
    if not isinstance(command, click.Group):
        assert isinstance(command, Command) and command.examples
        assert all("purebpf " + path.split()[1] in line for line in command.examples)


@pytest.mark.parametrize("path", COMMANDS)
def test_lists_of_commands_are_not_cut(path: str) -> None:
    assert not COMMANDS[path].get_short_help_str(64).endswith("..."), "give it a short_help"


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        ("link objects", "Usage: purebpf link OBJECT... -o OUT"),
        ("gen", "Usage: purebpf gen [OPTIONS] SOURCE... -o DIR"),
        ("map show", "Usage: purebpf map show [OPTIONS] [id ID | name NAME | pinned PATH]"),
        ("object relocate", "Usage: purebpf object relocate [OPTIONS] OBJECT"),
    ],
)
def test_usage(words: str, usage: str) -> None:
    done = CliRunner().invoke(cli, [*words.split(), "--help"], prog_name="purebpf")
    assert done.output.splitlines()[0] == usage


def test_a_wrong_use_is_told_with_the_usage() -> None:
    done = CliRunner().invoke(cli, ["link", "-o", "out.o"], prog_name="purebpf")
    assert done.exit_code == 2 and done.output.startswith("Usage: purebpf link OBJECT... -o OUT\n")


@pytest.mark.parametrize(("folder", "better"), [("my-programs", "my_programs"), ("3rd", "_3rd"), ("class", "class_")])
def test_gen_wants_a_name_that_can_be_imported(folder: str, better: str) -> None:
    done = CliRunner().invoke(cli, ["gen", __file__, "-o", f"there/{folder}"], prog_name="purebpf")
    assert done.exit_code == 2 and f"{folder!r} is no name in Python; say -o there/{better}" in " ".join(done.output.split())
