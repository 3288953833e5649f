"""`aptkeep forget`."""

from __future__ import annotations

import click

from aptkeep.cli import context, output
from aptkeep.revise import forget


@click.command("forget")
@click.argument("names", nargs=-1, required=True, metavar="PACKAGE|SOURCE...")
@context.options
@context.as_json
def command(*, names: tuple[str, ...], options: tuple[str, ...], as_json: bool) -> None:
    """No longer want a package, a source by its path or file name, or what is kept at a path.

    Nothing on this machine changes; the next one comes without it.
    """
    context.require_root("forget")
    configuration = context.configuration(options)
    with context.locked(configuration):
        revised = forget(configuration, names)
    if as_json:
        output.as_json(generation=revised.new.number, forgotten=list(names))
    else:
        output.line(f"aptkeep: generation {revised.new.number} is without {', '.join(names)}.")
