"""`aptkeep keygen`."""

from __future__ import annotations

import click

from aptkeep.cli import context, output
from aptkeep.store.seal import make_key


@click.command("keygen")
@click.argument("path", type=click.Path(dir_okay=False), metavar="FILE")
@context.options
@context.as_json
def command(*, path: str, options: tuple[str, ...], as_json: bool) -> None:
    """Make a key that signs the store where root can't own files (Aptkeep::Trust "signed").

    FILE is the private key, for root alone, and FILE.pub the public one.
    """
    context.require_root("make a key")
    context.configuration(options)
    name = make_key(path)
    if as_json:
        output.as_json(key=name, private=path, public=f"{path}.pub")
    else:
        output.line(f"aptkeep: the key {name} is in {path}, its public half in {path}.pub.")
