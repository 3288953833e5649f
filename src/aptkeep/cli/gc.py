"""`aptkeep gc`."""

from __future__ import annotations

import click

from aptkeep.cli import context, output
from aptkeep.collect import collect
from aptkeep.upkeep import offering


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Show what would be deleted, and delete nothing.")
@context.options
@context.as_json
def command(*, dry_run: bool, options: tuple[str, ...], as_json: bool) -> None:
    """Drop old generations, unreferenced files, and what the pool has too much."""
    if not dry_run:
        context.require_root("delete from the store")
    configuration = context.configuration(options)
    collected = collect(configuration, offering(configuration), dry_run=dry_run)
    output.collected(collected, json_wanted=as_json, dry_run=dry_run)
