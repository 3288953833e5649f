"""The `aptkeep` command: what it knows of its commands, and the codes in which it ends."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from aptkeep import __version__, cli, errors
from aptkeep.cli import group
from aptkeep.cli.group import COMMANDS, main


def ends(arguments: list[str]) -> int:
    """The exit code of a command line."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """A way to make `aptkeep status` do something else."""

    def replace(action: Callable[[], object]) -> None:
        replaced = click.Command("status", callback=action)
        monkeypatch.setattr(group.LazyGroup, "get_command", lambda *_arguments: replaced)

    return replace


# -- commands


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_module_and_a_help_text(name: str) -> None:
    found = importlib.import_module(f"aptkeep.cli.{name}").command
    assert isinstance(found, click.Command)
    assert found.name == name
    assert found.help
    assert {"options"} <= {parameter.name for parameter in found.params}
    assert COMMANDS[name].endswith(".")


def test_each_command_that_reads_speaks_json_too() -> None:
    for name in COMMANDS:
        found = importlib.import_module(f"aptkeep.cli.{name}").command
        assert "as_json" in {parameter.name for parameter in found.params}, name


def test_each_module_is_a_command() -> None:
    modules = {path.stem for path in Path(cli.__file__).parent.glob("*.py")}
    assert modules - {"__init__", "context", "group", "output"} == set(COMMANDS)


def test_help_names_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends([name, "--help"]) == 0
    assert f"aptkeep {name}" in capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(["--version"]) == 0
    assert capsys.readouterr().out == f"aptkeep {__version__}\n"


# -- exit codes


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["status", "--nonsense"],
        ["rollback"],
        ["rollback", "0"],
        ["rollback", "x"],
        ["forget"],
        ["restore", "--versions", "some"],
        ["show", "-1"],
        ["status", "surplus"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(arguments) in ({0, 2} if not arguments else {2})
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (1, 1), ("text", 0)])
def test_a_command_says_its_code(
    command: Callable[[Callable[[], object]], None], result: object, code: int
) -> None:
    command(lambda: result)
    assert ends(["status"]) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("wrong"), 2),
        (errors.UntrustedError("not trusted"), 3),
        (errors.CorruptError("damaged"), 3),
        (errors.StoreUnavailableError("full"), 3),
        (errors.LockedError("locked"), 4),
        (errors.CommandError("failed"), 1),
        (OSError(28, "No space left on device", "/home/u/.local/share/aptkeep"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_ends_in_its_code_and_a_sentence(
    command: Callable[[Callable[[], object]], None],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
) -> None:
    def fail() -> None:
        raise error

    command(fail)
    assert ends(["status"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    if code != 130:
        assert captured.err.startswith("aptkeep: ")


def test_options_before_and_after_the_command_are_one() -> None:
    assert group.group.params[0].name == "options"
    assert group.group.params[0].multiple
