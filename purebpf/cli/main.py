"""The command's entry point: each subcommand's module is imported when that subcommand runs."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from types import FrameType

import click

from purebpf.errors import Error

COMMANDS = {  # name: module in this package that has a click command of that name
    "btf": "btf",
    "build": "build",
    "demo": "demo",
    "disasm": "disasm",
    "explain": "explain",
    "features": "features",
    "gen": "gen",
    "link": "link",
    "map": "map",
    "object": "object",
    "prog": "prog",
    "run": "run",
    "stubs": "stubs",
    "vm": "vm",
}


class LazyGroup(click.Group):
    """A group whose members are imported on demand, so that `purebpf build` does not pay for `purebpf demo`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"purebpf.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="purebpf")
def cli() -> None:
    """eBPF in pure Python: compile, run and look at kernel programs written as Python functions."""


def ended(number: int, _frame: FrameType | None) -> None:
    """A signal that ends the process does it by an exception, so that everything is detached first."""
    sys.exit(128 + number)


def main() -> None:
    """Errors of purebpf are told without a traceback, and so are files that cannot be read or written; Ctrl-C ends quietly with
    status 130, a closed pipe silently. What a user's own file raises keeps its traceback."""
    signal.signal(signal.SIGTERM, ended)
    users_own = sys.argv[1:2] == ["run"]
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except Error as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except BrokenPipeError:
        hush()
        sys.exit(141)
    except OSError as error:
        if users_own:
            raise
        hush()
        click.echo(f"{error.filename or 'standard output'}: {error.strerror or error}", err=True)
        sys.exit(1)


def hush() -> None:
    """Have nothing more be written to standard output, whose buffer is written when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
