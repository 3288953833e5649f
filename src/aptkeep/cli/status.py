"""`aptkeep status`."""

from __future__ import annotations

import click

from aptkeep.cli import context, output
from aptkeep.errors import ExitCode
from aptkeep.review import status


@click.command("status")
@context.options
@context.as_json
def command(*, options: tuple[str, ...], as_json: bool) -> int:
    """Show what is wanted, present, pending with its reason, and not yet recorded."""
    result = status(context.configuration(options))
    output.status(result, json_wanted=as_json)
    return ExitCode.PENDING if result.pending else ExitCode.OK
