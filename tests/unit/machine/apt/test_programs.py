"""Whether apt could live with a file of its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from aptkeep.machine.apt import programs


@pytest.mark.parametrize(
    "text",
    [
        "",
        'APT::Install-Recommends "false";\n',
        'Acquire::http::Proxy "http://h:3142/";\n',
        'Dir::Log "/nowhere/at/all";\n',
        '// a comment\n# another\nAPT { Get { Assume-Yes "true"; }; };\n',
        'DPkg::Post-Invoke { "true"; };\n',
        'DPkg::Post-Invoke { "if [ -x /nowhere ]; then /nowhere; fi"; };\n',
        'DPkg::Post-Invoke { "/bin/sh -c true"; };\n',
    ],
)
def test_what_apt_can_live_with(text: str) -> None:
    assert programs.unusable(text.encode()) is None


@pytest.mark.parametrize("text", ['APT { "', "APT::X\n", '"', "\xff\xfe{", "#include </nowhere>;"])
def test_what_apt_can_not_read(text: str) -> None:
    reason = programs.unusable(text.encode("latin-1"))
    assert reason is None or "apt can't read it" in reason


def test_what_apt_can_not_read_is_named() -> None:
    reason = programs.unusable(b'APT { "unfinished')
    assert reason is not None
    assert "apt can't read it" in reason


@pytest.mark.parametrize(
    "option",
    [
        "DPkg::Post-Invoke::",
        "DPkg::Pre-Invoke::",
        "APT::Update::Pre-Invoke::",
        "APT::Update::Post-Invoke-Success::",
        "DPkg::Pre-Install-Pkgs::",
        "AptCli::Hooks::Install::",
        "Acquire::http::Proxy-Auto-Detect",
    ],
)
def test_a_hook_whose_program_is_missing(option: str, tmp_path: Path) -> None:
    program = tmp_path / "vendor-hook"
    text = f'{option} "{program} --quiet";\n'.encode()
    reason = programs.unusable(text)
    assert reason is not None
    assert str(program) in reason
    program.touch()
    assert programs.unusable(text) is None


def test_what_is_tried_is_not_taken_over() -> None:
    """apt_pkg's own configuration stays what it was."""
    import apt_pkg  # noqa: PLC0415 - only here

    programs.unusable(b'Aptkeep::Never "set";\n')
    assert apt_pkg.config.find("Aptkeep::Never") == ""
