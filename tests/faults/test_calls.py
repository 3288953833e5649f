"""No call goes by unseen, and an interrupted one is simply made again."""

from __future__ import annotations

import re

import pytest

from faults import strace
from faults.conftest import SHARES
from faults.scenarios import WORK, Prepared
from testbed.fixtures import only_on

pytestmark = only_on("trixie")
_INTERRUPTED = f"{WORK}/interrupted"
_LIBAPTS_OWN = re.compile(r"/staged/(src)?pkgcache\.bin")
_LOG = f"{WORK}/strace"


def _log(prepared: Prepared, path: str = _LOG) -> list[str]:
    return (prepared.machine.root / path[1:]).read_text(errors="replace").splitlines()


def _named(path: str) -> str:
    """Without what is another one in each run."""
    return re.sub(r"[0-9]{19}|[0-9a-f]{16}|preferences-\w+", "*", path)


@pytest.mark.parametrize("name", SHARES)
def test_strace_sees_no_other_call(prepared: Prepared, name: str) -> None:
    played = prepared.play(name, under=strace.arguments(_LOG))
    assert not played["problems"]
    found = strace.changes(_log(prepared), prepared.scopes(name))
    # libapt, in our process, makes caches of what is staged; they go with it.
    seen, journal = (
        [(call, path) for call, path in calls if not _LIBAPTS_OWN.search(path)]
        for calls in (found, played["seen"])
    )
    assert seen == journal
    assert seen


@pytest.mark.parametrize("name", [name for name in SHARES if name != "restore of packages"])
def test_interrupted_calls_are_made_again(prepared: Prepared, name: str) -> None:
    undisturbed = prepared.play(name)
    played = prepared.play(name, interrupted=True)
    assert not played["problems"]
    assert played["wishes"] == undisturbed["wishes"]
    # Some orders are those of sets.
    named = [sorted((c, _named(path)) for c, path in p["seen"]) for p in (played, undisturbed)]
    assert named[0] == named[1]
    assert any("EINTR" in line and "(INJECTED)" in line for line in _log(prepared, _INTERRUPTED))
