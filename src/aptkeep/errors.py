"""One family of errors: what happened, what it means, what to do, and the exit code it ends in."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable


class ExitCode:
    """The exit codes that other programs rely on (aptkeep(8), EXIT STATUS)."""

    OK = 0
    PENDING = 1
    USAGE = 2
    UNTRUSTED = 3
    LOCKED = 4


class AptkeepError(Exception):
    """An error that a person reads.

    `brief` says in one line what happened, `details` what it means for the machine or the store,
    `resolution` what to do about it.
    """

    exit_code: ClassVar[int] = ExitCode.USAGE

    def __init__(self, brief: str, *, details: str = "", resolution: str = "") -> None:
        super().__init__(brief)
        self.brief = brief
        self.details = details
        self.resolution = resolution

    def one_line(self) -> str:
        """Everything there is to say, on one line, as a hook or a log needs it."""
        parts = (self.brief, self.details, self.resolution)
        return "; ".join(part.rstrip(".") for part in parts if part)


def attempt(subject: str, action: Callable[[], None], reasons: dict[str, str]) -> None:
    """Do one thing that must not stop the others; its failure is its reason to be pending."""
    try:
        action()
    except AptkeepError as error:
        reasons[subject] = error.one_line()
    except OSError as error:
        reasons[subject] = error.strerror or str(error)


class UsageError(AptkeepError):
    """The command line or the configuration asks for something that can't be."""


class UntrustedError(AptkeepError):
    """The store, or a file in it, isn't what only root could have written."""

    exit_code = ExitCode.UNTRUSTED


class CorruptError(AptkeepError):
    """A trusted file doesn't hold what it should: torn, truncated or altered."""

    exit_code = ExitCode.UNTRUSTED


class StoreUnavailableError(AptkeepError):
    """The store can't be reached or written: no home, read-only, full."""

    exit_code = ExitCode.UNTRUSTED


class StoreFullError(StoreUnavailableError):
    """The disk is full, or a quota is used up."""


class LockedError(AptkeepError):
    """Another aptkeep, apt or dpkg held its lock for longer than we wait."""

    exit_code = ExitCode.LOCKED


class CommandError(AptkeepError):
    """A command of apt or dpkg failed; nothing after it was tried."""

    exit_code = ExitCode.PENDING
