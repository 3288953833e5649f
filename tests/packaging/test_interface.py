"""The man page and the completion say the same as the command line itself."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import click
import pytest

from aptkeep.cli.group import COMMANDS, group
from aptkeep.model import (
    FileKind,
    Generation,
    KeptFile,
    Manifest,
    Occasion,
    PackageWish,
    Platform,
    Selection,
)
from aptkeep.store.format import codec
from testbed import commands, source

COMPLETION = source.top() / "debian/aptkeep.bash-completion"
MAN_PAGE = (source.top() / "docs/aptkeep.8").read_text()
EVERYWHERE = {"-h", "--help", "-o", "--json"}


def _command(name: str) -> click.Command:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


def _options(command: click.Command) -> set[str]:
    declared = {
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
    return declared | {"-h", "--help"}


def _settings_read() -> set[str]:
    config = (source.top() / "src/aptkeep/machine/apt/config.py").read_text()
    return set(re.findall(r'"(Aptkeep::[A-Za-z:-]+)"', config))


class TestManPage:
    def _section(self, name: str) -> str:
        found = re.search(rf"^\.Sh {name}\n(.*?)(?=^\.Sh |\Z)", MAN_PAGE, re.DOTALL | re.MULTILINE)
        assert found is not None, name
        return found[1]

    def _items(self) -> dict[str, str]:
        parts = re.split(r"^\.It Cm (\w+)", self._section("COMMANDS"), flags=re.MULTILINE)
        return dict(zip(parts[1::2], parts[2::2], strict=True))

    def test_it_has_every_command_and_no_other(self) -> None:
        assert list(self._items()) == list(COMMANDS)
        assert re.findall(r"^\.Cm (\w+)$", self._section("SYNOPSIS"), re.MULTILINE) == list(
            COMMANDS
        )

    @pytest.mark.parametrize("name", COMMANDS)
    def test_it_has_every_option_of_a_command_and_no_other(self, name: str) -> None:
        described = set(re.findall(r"^\.It Fl -([a-z-]+)", self._items()[name], re.MULTILINE))
        assert {f"--{option}" for option in described} == _options(_command(name)) - EVERYWHERE

    def test_every_command_takes_what_it_says_every_command_takes(self) -> None:
        for name in COMMANDS:
            assert _options(_command(name)) >= EVERYWHERE, name

    def test_it_has_every_setting_and_no_other(self) -> None:
        described = re.findall(r"^\.It Va (\S+)$", self._section("CONFIGURATION"), re.MULTILINE)
        assert {name for name in described if name.startswith("Aptkeep::")} == (_settings_read())


class TestCompletion:
    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        directory = tmp_path / ".local/share/aptkeep/generations"
        directory.mkdir(parents=True)
        wish = PackageWish(Selection.INSTALL, "1.0")
        source_file = KeptFile(FileKind.SOURCE, "0" * 64, 0o644)
        for number, packages in ((1, ["cowsay"]), (12, ["cowsay", "libc6:i386", "vim"])):
            generation = Generation(
                number,
                Occasion("2026-11-24T06:03:30Z", "DPkg::Post-Invoke"),
                Platform("debian", "trixie", "amd64"),
                Manifest(
                    dict.fromkeys(packages, wish),
                    {"i386": True},
                    {"/etc/apt/sources.list.d/$(touch here).list": source_file},
                ),
            )
            (directory / f"{number:06}.json").write_bytes(codec.encode(generation))
        return tmp_path

    def _complete(self, home: Path, *words: str) -> list[str]:
        """What a TAB after these words offers; the last one is what was typed of a word."""
        script = f"""
            . /usr/share/bash-completion/bash_completion
            . {shlex.quote(os.fspath(COMPLETION))}
            compopt() {{ :; }}
            COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}
            COMP_LINE={shlex.quote(" ".join(words))} COMP_POINT={len(" ".join(words))}
            _aptkeep
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        environment = commands.environment({"HOME": os.fspath(home), "APT_CONFIG": "/dev/null"})
        offered = commands.run("bash", "-c", script, env=environment, cwd=home)
        assert offered.stderr == ""
        return [line for line in offered.lines if line]

    def test_it_offers_every_command(self, home: Path) -> None:
        assert self._complete(home, "aptkeep", "") == list(COMMANDS)
        assert self._complete(home, "aptkeep", "-o", "X=Y", "roll") == ["rollback"]

    @pytest.mark.parametrize("name", COMMANDS)
    def test_it_offers_every_option_of_a_command(self, home: Path, name: str) -> None:
        assert set(self._complete(home, "aptkeep", name, "-")) == _options(_command(name))

    def test_it_offers_the_options_before_a_command(self, home: Path) -> None:
        assert set(self._complete(home, "aptkeep", "-")) == _options(group)

    def test_it_offers_what_an_option_takes(self, home: Path) -> None:
        assert self._complete(home, "aptkeep", "restore", "--versions", "") == [
            "recorded",
            "latest",
        ]
        assert self._complete(home, "aptkeep", "restore", "--generation", "") == ["1", "12"]

    def test_it_offers_every_setting_but_lists(self, home: Path) -> None:
        settings = set(self._complete(home, "aptkeep", "-o", "Aptkeep"))
        lists = {
            "Aptkeep::Exclude",
            "Aptkeep::Keep",
            "Aptkeep::Keep::Exclude",
            "Aptkeep::Trust::Public-Keys",
        }
        assert settings == {f"{name}=" for name in _settings_read() - lists}

    @pytest.mark.parametrize("name", ["show", "diff", "rollback"])
    def test_it_offers_generations(self, home: Path, name: str) -> None:
        assert self._complete(home, "aptkeep", name, "") == ["1", "12"]

    def test_it_offers_what_the_newest_generation_wants(self, home: Path) -> None:
        file = r"/etc/apt/sources.list.d/\$\(touch\ here\).list"
        assert self._complete(home, "aptkeep", "forget", "") == [
            *("i386", file, "cowsay", "libc6:i386", "vim")
        ]
        assert not (home / "here").exists(), "a name was taken for a command"

    def test_it_offers_nothing_where_nothing_was_recorded(self, tmp_path: Path) -> None:
        assert self._complete(tmp_path, "aptkeep", "forget", "") == []
        assert self._complete(tmp_path, "aptkeep", "rollback", "") == []
