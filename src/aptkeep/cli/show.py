"""`aptkeep show`."""

from __future__ import annotations

import click

from aptkeep.cli import context, output
from aptkeep.review import show


@click.command("show")
@click.argument("number", type=click.IntRange(min=1), required=False, metavar="[N]")
@context.options
@context.as_json
def command(
    *,
    number: int | None,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show generation N, or the newest."""
    output.shown(show(context.configuration(options), number), json_wanted=as_json)
