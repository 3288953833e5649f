"""`aptkeep rollback`."""

from __future__ import annotations

import click

from aptkeep.cli import context, output
from aptkeep.cli.restore import run
from aptkeep.restore import Options
from aptkeep.revise import rollback


@click.command("rollback")
@click.argument("number", type=click.IntRange(min=1), metavar="N")
@click.option("--offline", is_flag=True, help="Never touch the network.")
@context.options
@context.as_json
def command(
    *,
    number: int,
    offline: bool,
    options: tuple[str, ...],
    as_json: bool,
) -> int:
    """Go back to generation N: what was added since goes, what was removed returns.

    The result is a new generation, so that a rollback can itself be rolled back.
    """
    context.require_root("roll back")
    configuration = context.configuration(options)
    with context.locked(configuration):
        revised = rollback(configuration, number)
    if not as_json:
        output.line(f"aptkeep: generation {revised.new.number} wants what generation {number} did.")
    return run(configuration, Options(offline=offline), json_wanted=as_json)
