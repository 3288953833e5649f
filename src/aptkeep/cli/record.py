"""`aptkeep record`."""

from __future__ import annotations

import click

from aptkeep.cli import context, output
from aptkeep.errors import ExitCode, UsageError
from aptkeep.keeping import keep
from aptkeep.machine.state import State
from aptkeep.pooling import all_said, local_debs, own_debs
from aptkeep.record import record
from aptkeep.upkeep import keep_pool


@click.command("record")
@context.options
@context.as_json
def command(*, options: tuple[str, ...], as_json: bool) -> int:
    """Record the present state of this machine now."""
    context.require_root("record")
    configuration = context.configuration(options)
    if not State(configuration.paths.state).started:
        raise UsageError(
            "aptkeep was not started on this machine",
            details="it doesn't know what came with the image; nothing was recorded",
            resolution="run 'aptkeep start' first, at best when the machine starts",
        )
    with (
        local_debs(configuration, lambda: False, of_root=True) as debs,
        context.locked(configuration),
    ):
        own = own_debs(debs)
        recorded = record(configuration, "aptkeep record", own=own, thorough=True)
        tree = keep(configuration, "aptkeep record", thorough=True)
    # Who runs this is, more often than not, about to throw the root away.
    troubles = keep_pool(configuration)
    all_said(State(configuration.paths.state), troubles)
    newest = tree.generation or recorded.generation
    number = newest.number if newest else None
    if as_json:
        output.as_json(
            generation=number,
            unkept=[{"name": entry.subject, "reason": entry.reason} for entry in recorded.unkept],
        )
    else:
        output.line(
            f"aptkeep: recorded generation {number}." if number else "aptkeep: nothing new."
        )
    for text in (*recorded.said, *dict.fromkeys((*tree.news, *tree.troubles)), *troubles):
        output.warning(text)
    for entry in recorded.unkept:
        output.warning(f"{entry.subject} is not kept: {entry.reason}")
    for error in recorded.passed_over:
        output.warning(error.one_line())
    unkept = State(configuration.paths.state).last_observation().unkept or tree.troubles
    return ExitCode.PENDING if unkept else ExitCode.OK
