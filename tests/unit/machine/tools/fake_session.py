"""A session whose programs answer what a test says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aptkeep.machine.run import Completed
from aptkeep.machine.tools.destination import inside
from aptkeep.machine.tools.session import Session

HOME = "/home/bench-user"


@dataclass(frozen=True)
class FakeSession(Session):
    """Every question gets `answer`; what is in the home and in `may_write` can be written."""

    answer: str = ""
    returncode: int = 0
    timed_out: bool = False
    may_write: tuple[str, ...] = ()
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def ask(self, *argv: str) -> Completed:
        self.asked.append(argv)
        return Completed(argv, self.returncode, self.answer, self.timed_out)

    def writable(self, *paths: str) -> bool:
        places = (HOME, *self.may_write)
        return all(any(inside(path, at) for at in places) for path in paths)


def session(
    answer: str = "",
    *,
    user: str = "bench-user",
    environment: Mapping[str, str] | None = None,
    returncode: int = 0,
    timed_out: bool = False,
    may_write: tuple[str, ...] = (),
) -> FakeSession:
    """The session of the user whose home it is, or of root."""
    root = user == "root"
    return FakeSession(
        user,
        "/root" if root else HOME,
        HOME,
        None,
        {"SHELL": "/bin/bash", **(environment or {})},
        {},
        answer=answer,
        returncode=returncode,
        timed_out=timed_out,
        may_write=("/",) if root else may_write,
    )
