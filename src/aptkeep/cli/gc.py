"""`aptkeep gc`."""

from __future__ import annotations

import click

from aptkeep.cli import context, output
from aptkeep.collect import collect


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Show what would be deleted, and delete nothing.")
@context.options
@context.as_json
def command(*, dry_run: bool, options: tuple[str, ...], as_json: bool) -> None:
    """Drop old generations, and files that no generation names any more."""
    if not dry_run:
        context.require_root("delete from the store")
    configuration = context.configuration(options)
    output.collected(collect(configuration, dry_run=dry_run), json_wanted=as_json, dry_run=dry_run)
