"""Where each tool on this machine would put an installation now, asked of the tool itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from aptkeep.machine.tools import languages, python
from aptkeep.machine.tools.destination import Destination
from aptkeep.machine.tools.session import open_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from aptkeep.machine.tools.login import Program
    from aptkeep.machine.tools.session import Session

    _Probe = Callable[[Session, Program], list[Destination]]

__all__ = ["Destination", "destinations"]

# Of several programs of one line, the first that the user's shell finds is asked.
_TOOLS: tuple[tuple[tuple[str, ...], _Probe], ...] = (
    (("pip", "pip3"), python.pip),
    (("pipx",), python.pipx),
    (("conda",), python.conda),
    (("mamba",), python.mamba),
    (("micromamba",), python.mamba),
    (("Rscript",), languages.r),
    (("julia",), languages.julia),
    (("npm",), languages.npm),
    (("cargo",), languages.cargo),
    (("go",), languages.go),
    (("gem",), languages.gem),
    (("make",), languages.make),
)
_AT_ONCE = 4
"""How many tools are asked at the same time: each keeps a processor busy while it starts."""


def destinations(home: str, user: str) -> list[Destination]:
    """Where installations of `user` would go, by tool; `home` is what survives.

    Only root can ask as somebody else: who isn't root asks as itself. Tools that aren't on the
    user's PATH are left out. Nothing is written, and a tool that hangs is given up after a while.
    """
    session = open_session(home, user, [name for names, _probe in _TOOLS for name in names])
    if session is None:
        return []
    found = [
        (program, probe)
        for names, probe in _TOOLS
        for program in [session.programs[name] for name in names if name in session.programs][:1]
    ]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = [pool.submit(_ask, session, program, probe) for program, probe in found]
        return [answer for each in asked for answer in each.result()]


def _ask(session: Session, program: Program, probe: _Probe) -> list[Destination]:
    if session.trusts(program):
        return probe(session, program)
    trouble = f"others than root can change {program.path}; root doesn't run that"
    return [Destination(program.name, session.user, None, program.path, trouble)]
