"""`aptkeep history`."""

from __future__ import annotations

import click

from aptkeep.cli import context, output
from aptkeep.review import history


@click.command("history")
@context.options
@context.as_json
def command(*, options: tuple[str, ...], as_json: bool) -> None:
    """List the generations, newest first: when, and at whose request."""
    output.history(history(context.configuration(options)), json_wanted=as_json)
