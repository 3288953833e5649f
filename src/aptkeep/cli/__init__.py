"""The command line: one module for each command, one that prints."""

from __future__ import annotations

from aptkeep.cli.group import main

__all__ = ["main"]
