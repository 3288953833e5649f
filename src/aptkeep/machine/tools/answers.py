"""What tools answer, read: each probe of ours prints one line of JSON, whatever else is said."""

from __future__ import annotations

import json
import os
import textwrap
from typing import TYPE_CHECKING

from aptkeep.machine.tools import advice
from aptkeep.machine.tools.destination import Destination, inside

if TYPE_CHECKING:
    from aptkeep.machine.run import Completed
    from aptkeep.machine.tools.session import Session

_WIDTH = 300
"""How much of a tool's complaint a person is told."""
MARK = "aptkeep "
"""What a line of ours begins with."""


def marked(output: str) -> dict[str, object]:
    """The last line that begins with MARK, as JSON; empty if there is none."""
    for line in reversed(output.splitlines()):
        if line.startswith(MARK):
            return _object(line[len(MARK) :])
    return {}


def whole(output: str) -> dict[str, object]:
    """The JSON object that a tool printed, between its warnings."""
    return _object(output[output.find("{") : output.rfind("}") + 1])


def last_path(output: str) -> str:
    """The last line that is an absolute path; empty if there is none."""
    paths = [line.strip() for line in output.splitlines() if line.startswith("/")]
    return paths[-1] if paths else ""


def text(value: object) -> str:
    """A string as it is, everything else as an empty one."""
    return value if isinstance(value, str) else ""


def texts(value: object) -> list[str]:
    """The strings of a list."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def silent(session: Session, tool: str, asked: str, completed: Completed) -> Destination:
    """A tool that was asked and gave no answer."""
    if completed.timed_out:
        trouble = f"{tool} didn't answer in time"
    else:
        words = textwrap.shorten(completed.last_words(), _WIDTH, placeholder="…")
        words = words or f"exit code {completed.returncode}"
        trouble = f"{tool} can't be asked: {words}"
    return Destination(tool, session.user, None, asked, trouble)


def placed(
    session: Session,
    tool: str,
    asked: str,
    path: str,
    remedy: str,
    *,
    refused: str = "",
    writes: tuple[str, ...] = (),
) -> Destination:
    """A tool that named a place: it refuses, or may write there, or may not.

    `writes` are the directories that it writes to, where that isn't `path` alone; `remedy` is what
    brings it into the home of a user whose home survives. What root installs is kept where it is.
    """
    path = os.path.join(session.directory, path)
    writes = writes or (path,)
    real = os.path.realpath(path)
    if not (path.startswith(f"{session.home}/") and inside(real, session.home)):
        path = real  # links that lead into the home or out of it are of no interest to people
    if not refused and not session.writable(*writes):
        refused = f"{session.user} can't write in {path}"
    if not refused and inside(path, session.home):
        remedy = ""
    elif not session.at_home:
        kept = [_kept(os.path.realpath(each), session) for each in writes]
        remedy = advice.as_owner(session.home) if refused else advice.keep(*kept)
    return Destination(tool, session.user, None if refused else path, asked, refused, remedy)


def _kept(path: str, session: Session) -> str:
    """What there is to keep of it: /usr/local, a directory of root's home, or the place itself."""
    if inside(path, "/usr/local"):
        return "/usr/local"
    if inside(path, session.directory):
        first = os.path.relpath(path, session.directory).split("/")[0]
        return os.path.join(session.directory, first)
    return path


def _object(document: str) -> dict[str, object]:
    try:
        found = json.loads(document)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
