"""What every command needs before it begins."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aptkeep.errors import UsageError
from aptkeep.machine.apt import config
from aptkeep.machine.state import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from aptkeep.machine.apt.config import Configuration

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def options(function: _Function) -> _Function:
    """The option that every command has: `-o NAME=VALUE`."""
    return click.option(
        "-o",
        "options",
        metavar="NAME=VALUE",
        multiple=True,
        help="Set an option of apt.conf(5), for example Aptkeep::Home=/home/user.",
    )(function)


def as_json(function: _Function) -> _Function:
    """The `--json` option."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(
        function
    )


def configuration(given: tuple[str, ...]) -> Configuration:
    """The configuration of apt, with the options before and after the command's name over it."""
    context = click.get_current_context()
    return config.load((*(context.obj or ()), *given))


def require_root(what: str) -> None:
    """Raise UsageError for anybody but root."""
    if os.geteuid() != 0:
        raise UsageError(f"only root can {what}", resolution="run it with sudo")
    os.umask(0o022)


def locked(chosen: Configuration) -> AbstractContextManager[None]:
    """Hold this root's lock."""
    return State(chosen.paths.state).locked(chosen.settings.lock_timeout)
