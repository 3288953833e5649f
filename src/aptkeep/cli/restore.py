"""`aptkeep restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aptkeep.cli import context, output
from aptkeep.errors import ExitCode
from aptkeep.restore import Options, preview, restore
from aptkeep.upkeep import in_background

if TYPE_CHECKING:
    from aptkeep.machine.apt.config import Configuration


@click.command("restore")
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.option("--offline", is_flag=True, help="Never touch the network.")
@click.option(
    "--versions",
    type=click.Choice(["recorded", "latest"]),
    help="Which versions to install; the default is Aptkeep::Restore::Versions.",
)
@click.option("--generation", type=click.IntRange(min=1), metavar="N", help="Go to generation N.")
@context.options
@context.as_json
def command(
    *,
    dry_run: bool,
    offline: bool,
    versions: str | None,
    generation: int | None,
    options: tuple[str, ...],
    as_json: bool,
) -> int:
    """Bring back what is wanted and not here."""
    chosen = Options(offline=offline, generation=generation, versions=versions)
    configuration = context.configuration(options)
    if dry_run:
        result = preview(configuration, chosen)
        output.outcome(result, json_wanted=as_json, dry_run=True)
        return ExitCode.PENDING if result.pending else ExitCode.OK
    context.require_root("restore")
    return run(configuration, chosen, json_wanted=as_json)


def run(configuration: Configuration, chosen: Options, *, json_wanted: bool) -> int:
    """Restore with progress, print what came of it, and return the exit code."""
    progress = output.progress()
    try:
        with context.locked(configuration):
            result = restore(configuration, progress, chosen)
        in_background(configuration)  # what was fetched waits to be pooled
    finally:
        progress.close()
    output.outcome(result, json_wanted=json_wanted, dry_run=False)
    return ExitCode.PENDING if result.pending else ExitCode.OK
