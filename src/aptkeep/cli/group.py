"""The `aptkeep` command. A command's module is imported when it's called, not before."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from aptkeep import __version__
from aptkeep.cli import output
from aptkeep.errors import AptkeepError, ExitCode, StoreUnavailableError
from aptkeep.surroundings import settle

# The help texts stand here, so that `aptkeep --help` imports none of the commands.
COMMANDS = {
    "start": "Bring back what is wanted: what a machine runs at start.",
    "record": "Record the present state now.",
    "restore": "Bring back what is wanted and not here.",
    "status": "Show what is wanted, present, pending and not yet recorded.",
    "history": "List the generations.",
    "show": "Show a generation.",
    "diff": "Show what two generations wish differently.",
    "rollback": "Go back to an older generation.",
    "verify": "Check every byte in the store against what was recorded.",
    "gc": "Drop old generations and unreferenced files.",
    "doctor": "Show what on this machine would not survive its stop, and the remedy.",
    "forget": "No longer want a package or a source.",
    "keygen": "Make a key for signing the store.",
    "sign": "Sign the store with the present key.",
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and help text."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """The names, in the order in which a person meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"aptkeep.cli.{cmd_name}").command
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's interface
        formatter: click.HelpFormatter,
    ) -> None:
        """The commands with their help texts, none imported."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-o",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="Set an option of apt.conf(5), for example Aptkeep::Home=/home/user.",
)
@click.version_option(__version__, "--version", message="%(prog)s %(version)s")
@click.pass_context
def group(context: click.Context, options: tuple[str, ...]) -> None:
    """Keep what is installed with apt in the home, and bring it back on the next root."""
    context.obj = options


def _open_standard_files() -> None:
    """Whoever starts a machine may have closed them: then the next file would be one of them."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with a code of the table in aptkeep(8)."""
    _open_standard_files()
    settle()
    try:
        result: Any = group(arguments, prog_name="aptkeep", standalone_mode=False)
    except click.ClickException as error:
        output.warning(f"{error.format_message().rstrip('.')}; see 'aptkeep --help'")
        sys.exit(ExitCode.USAGE)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(ExitCode.OK)
    except AptkeepError as error:
        output.error(error)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.filename is None:  # standard output: a full disk behind a redirection
            output.warning(f"can't print: {error.strerror}")
            os._exit(ExitCode.USAGE)  # or Python would try to print again
        output.error(StoreUnavailableError(f"{error.strerror}: {error.filename or 'the store'}"))
        sys.exit(ExitCode.UNTRUSTED)
    sys.exit(result if isinstance(result, int) else ExitCode.OK)
