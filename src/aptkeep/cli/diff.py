"""`aptkeep diff`."""

from __future__ import annotations

import click

from aptkeep.cli import context, output
from aptkeep.model import Manifest
from aptkeep.review import history, show


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
    after = show(configuration, new).generation
    if old is None and after is not None:
        numbers = [entry.number for entry in history(configuration)]
        old = max((number for number in numbers if number < after.number), default=None)
    before = show(configuration, old).generation if old else None
    output.difference(
        before.manifest if before else Manifest(),
        after.manifest if after else Manifest(),
        json_wanted=as_json,
    )
