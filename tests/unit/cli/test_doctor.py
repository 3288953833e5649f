"""What the doctor prints, and the exit code."""

from __future__ import annotations

import json

import pytest

from aptkeep.cli import context, doctor
from aptkeep.cli.group import group
from aptkeep.doctor.findings import Finding, Kind
from aptkeep.doctor.places import Place
from aptkeep.doctor.report import Report
from aptkeep.errors import AptkeepError, UntrustedError
from aptkeep.machine.tools import Destination

FILES = Finding(Kind.FILES, "/opt", "m", "move it", 7, 2048, ("/opt/a\nb", "/opt/c"))
KEY = Finding(Kind.KEY, "/k.asc", "it can't be kept: no key", "mend it")
PIP = Place(Destination("pip", "u", "/usr/local/lib", "pip config list", remedy="a venv"), False)  # noqa: FBT003
GEM = Place(Destination("gem", "u", "/home/u/.gem", "gem env", remedy="none"), True)  # noqa: FBT003
NPM = Place(Destination("npm", "u", None, "npm prefix -g", "npm hangs", "kill it"), None)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> _Run:
    """Runs the command on a machine where that was found."""
    monkeypatch.setattr(context, "configuration", lambda _options: None)
    return _Run(monkeypatch, capsys)


class _Run:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, report: Report, *options: str) -> tuple[int, str, str]:
        """The exit code, and what was printed on both streams."""
        self._monkeypatch.setattr(doctor, "doctor", lambda _configuration: report)
        code = group(["doctor", *options], prog_name="aptkeep", standalone_mode=False)
        captured = self._capsys.readouterr()
        return int(code), captured.out, captured.err


def test_nothing_is_lost(run: _Run) -> None:
    assert run(Report("/home/u")) == (0, "Nothing would be lost.\n", "")


def test_advice_is_no_loss(run: _Run) -> None:
    code, out, err = run(Report("/home/u", advice=("look at it",), unseen=("/root",)))
    assert (code, out.splitlines()) == (
        0,
        ["Nothing would be lost, as far as you can see it.", "advice: look at it"],
    )
    assert err == "aptkeep: /root: only root can look into that\n"


def test_findings_with_their_remedies(run: _Run) -> None:
    code, out, err = run(Report("/home/u", findings=(KEY, FILES)))
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "Keys and files of apt's that would be lost:",
        "  /k.asc",
        "    it can't be kept: no key",
        "    remedy: mend it",
        "Files that would be lost, as no package brings them back:",
        "  /opt: 7 files, 2.0 kB",
        "    /opt/a\\nb, /opt/c …",
        "    remedy: move it",
    ]


def test_every_kind_has_its_heading(run: _Run) -> None:
    for kind in Kind:
        _code, out, _err = run(Report("/home/u", findings=(Finding(kind, "x", "y", "z"),)))
        assert out.splitlines()[0].endswith(":")


def test_places(run: _Run) -> None:
    _code, out, _err = run(Report("/home/u", places=(PIP, GEM, NPM)))
    assert out.splitlines()[1:] == [
        "Where installations would go:",
        "  pip (u): /usr/local/lib, which would be lost",
        "    remedy: a venv",
        "  gem (u): /home/u/.gem, which survives",
        "  npm (u): npm hangs",
        "    remedy: kill it",
    ]


TROUBLE = UntrustedError("the store is not trusted", details="d", resolution="r")


@pytest.mark.parametrize("trouble", [None, TROUBLE])
def test_json(run: _Run, trouble: AptkeepError | None) -> None:
    report = Report("/home/u", (PIP,), (FILES,), ("a",), ("u",), trouble)
    code, out, err = run(report, "--json")
    assert code == (3 if trouble else 1)
    assert bool(err) == bool(trouble)
    assert json.loads(out) == {
        "version": 1,
        "home": "/home/u",
        "tools": [
            {
                "tool": "pip",
                "user": "u",
                "path": "/usr/local/lib",
                "survives": False,
                "asked": "pip config list",
                "trouble": "",
                "remedy": "a venv",
            }
        ],
        "findings": [
            {
                "kind": "files",
                "subject": "/opt",
                "meaning": "m",
                "remedy": "move it",
                "count": 7,
                "bytes": 2048,
                "examples": ["/opt/a\nb", "/opt/c"],
            }
        ],
        "advice": ["a"],
        "unseen": ["u"],
        "error": trouble
        and {"brief": "the store is not trusted", "details": "d", "resolution": "r"},
    }


def test_a_store_that_can_not_be_used(run: _Run) -> None:
    code, out, err = run(Report("/home/u", findings=(FILES,), trouble=TROUBLE))
    assert code == TROUBLE.exit_code
    assert "/opt: 7 files" in out
    assert err.splitlines() == ["aptkeep: the store is not trusted", "  d", "  r"]
    assert run(Report("/home/u", trouble=TROUBLE))[1] == ""
