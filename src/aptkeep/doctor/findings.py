"""What the doctor tells: findings, each with its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(str, Enum):
    """What a finding is about; the worst first."""

    NOT_STARTED = "not-started"
    START_UP = "start-up"
    VOLUME = "volume"
    HOOKS = "hooks"
    STORE = "store"
    KEY = "key"
    UNREADABLE_HOME = "unreadable-home"
    UNRECORDED = "unrecorded"
    FILES = "files"
    PACKAGE_FILE = "package-file"
    CONFFILE = "conffile"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that would be lost."""

    kind: Kind
    subject: str
    """A path, package names, an option of apt's."""
    meaning: str
    remedy: str
    count: int = 1
    """Of how many files, packages, hooks it tells."""
    size: int | None = None
    """Bytes, of files."""
    examples: tuple[str, ...] = ()


EXAMPLES = 5
"""How many of many are named."""
SETTING = "in /etc/apt/apt.conf.d/90local"
"""Where people set options, as aptkeep(8) has it."""
