"""`aptkeep sign`."""

from __future__ import annotations

import click

from aptkeep.cli import context, output
from aptkeep.revise import sign


@click.command("sign")
@click.option("--adopt", is_flag=True, help="Believe a store of root's that nobody signed yet.")
@context.options
@context.as_json
def command(*, adopt: bool, options: tuple[str, ...], as_json: bool) -> None:
    """Sign what the store wants and its pool with the present key, as a new generation.

    Before an old public key is no longer accepted, or, with --adopt, to turn a store of root's into
    a signed one.
    """
    context.require_root("sign the store")
    configuration = context.configuration(options)
    with context.locked(configuration):
        generation = sign(configuration, adopt=adopt)
    if as_json:
        output.as_json(generation=generation.number)
    else:
        output.line(f"aptkeep: generation {generation.number} is signed.")
