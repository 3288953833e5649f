"""`aptkeep diff`."""

from __future__ import annotations

import click

from aptkeep.cli import context, output
from aptkeep.compare import differences
from aptkeep.review import Shown, history, show


@click.command("diff")
@click.argument("old", type=click.IntRange(min=1), required=False, metavar="[A]")
@click.argument("new", type=click.IntRange(min=1), required=False, metavar="[B]")
@context.options
@context.as_json
def command(
    *,
    old: int | None,
    new: int | None,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what changed from generation A to B.

    Without B, from A to the newest; without A, what the newest changed.
    """
    configuration = context.configuration(options)
    after = show(configuration, new)
    if old is None and after.generation is not None:
        newest = after.generation.number
        numbers = [entry.number for entry in history(configuration)]
        old = max((number for number in numbers if number < newest), default=None)
    before = show(configuration, old) if old else Shown(None)
    changes = differences(before.manifest, after.manifest, before.nodes, after.nodes)
    output.difference(changes, json_wanted=as_json)
