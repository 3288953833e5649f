"""`aptkeep verify`."""

from __future__ import annotations

import click

from aptkeep.cli import context, output
from aptkeep.errors import ExitCode
from aptkeep.review import verify


@click.command("verify")
@context.options
@context.as_json
def command(*, options: tuple[str, ...], as_json: bool) -> int:
    """Check every byte in the store against what was recorded, and the keys of the sources."""
    result = verify(context.configuration(options))
    output.verified(result, json_wanted=as_json)
    return ExitCode.UNTRUSTED if result.troubles else ExitCode.OK
