"""`aptkeep start`."""

from __future__ import annotations

import contextlib
import os
import sys

import click

from aptkeep.cli import context, output
from aptkeep.cli.restore import run
from aptkeep.errors import AptkeepError, ExitCode
from aptkeep.machine import startup
from aptkeep.machine.state import State
from aptkeep.restore import Options


@click.command("start")
@click.option("--background", is_flag=True, help="Return at once and restore in the background.")
@click.option("--offline", is_flag=True, help="Never touch the network.")
@context.options
@context.as_json
def command(
    *,
    background: bool,
    offline: bool,
    options: tuple[str, ...],
    as_json: bool,
) -> int:
    """Bring back what is wanted: what a machine runs at start.

    The first time on a root, what is there is taken for the image; from then on the hooks record.
    """
    context.require_root("start")
    configuration = context.configuration(options)
    if background and not _detach():
        if as_json:
            output.as_json(background=True)
        return ExitCode.OK
    try:
        with contextlib.suppress(AptkeepError):  # only doctor asks for it
            if (started := startup.now()) is not None:
                State(configuration.paths.state).note_start(started)
        return run(configuration, Options(offline=offline), json_wanted=as_json)
    except AptkeepError as error:
        if not background:
            raise
        output.error(error)
        return error.exit_code


def _detach() -> bool:
    """Go on in the background, out of the terminal's reach; True in the process that does."""
    sys.stdout.flush()
    if os.fork():
        return False
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    return True
