"""URIs as apt's sources and command lines hold them."""

from __future__ import annotations

import pytest

from aptkeep.machine.apt.uris import command_line, without_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:password@host/debian", "http://host/debian"),
        ("https://token@host:8443/debian", "https://host:8443/debian"),
        ("tor+https://a:b@host/", "tor+https://host/"),
        ("apt -o P=http://a:b@h:1/ -o Q=http://c:d@i/", "apt -o P=http://h:1/ -o Q=http://i/"),
        ("http://user:p%40ss@host/", "http://host/"),
        ("http://user:p@ss@host/", "http://host/"),
        ("http://host/path@with/at", "http://host/path@with/at"),
        ("http://host/ mail@example.org", "http://host/ mail@example.org"),
        ("file:/srv/repo", "file:/srv/repo"),
        ("apt install vim", "apt install vim"),
        ("", ""),
    ],
)
def test_credentials_are_taken_out_and_nothing_else(text: str, shown: str) -> None:
    assert without_credentials(text) == shown
    assert without_credentials(shown) == shown


def test_a_long_command_line_is_cut_and_its_credentials_are_gone_before_that() -> None:
    long = f"dpkg -i http://user:password@host/{'x' * 9000}"
    shown = command_line(long)
    assert len(shown) == 8001
    assert shown.endswith("x…")
    assert "password" not in command_line("x" * 7985 + " http://user:password@host/")
    assert command_line("apt install vim") == "apt install vim"
