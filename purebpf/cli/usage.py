"""Commands whose usage is told in words and not made of the names of parameters, with examples below."""

from __future__ import annotations

from typing import Any

import click


class Command(click.Command):
    """`usage` is what stands behind the command's name, `examples` are whole lines. `called` is the command's name where that
    is not all of the words before it."""

    def __init__(self, *args: Any, usage: str = "", examples: tuple[str, ...] = (), called: str = "", **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.usage, self.examples, self.called = usage, examples, called

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        words = self.usage or " ".join(self.collect_usage_pieces(ctx))
        formatter.write_usage(self.called or ctx.command_path, words)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class Group(click.Group):
    """A group of such commands."""

    command_class = Command


def show(group: click.Group, command: click.Command) -> None:
    """Have a group's `list` be called `show`, too, as bpftool has it."""
    assert isinstance(command, Command)
    alias = Command(
        "show",
        callback=command.callback,
        params=command.params,
        help=command.help,
        short_help="The same as `list`.",
        usage=command.usage,
        examples=tuple(line.replace(" list", " show") for line in command.examples),
    )
    group.add_command(alias)
