"""apt's configuration files on a root, and what of them names a keyring or a suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aptkeep.machine import sources
from aptkeep.model import FileKind
from unit.machine.fake_root import FakeRoot

LIST = "/etc/apt/sources.list.d/vendor.list"
SOURCES = "/etc/apt/sources.list.d/vendor.sources"

# A line of base64 may well begin with a slash.
ARMORED = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----
Comment: not: a field

mDMEZ0LgARYJKwYBBAHaRw8BAQdA1x
/9j4AAQSkZJRgABAQEASABIAAD/2wBD
//8AAAA=
=abcd
-----END PGP PUBLIC KEY BLOCK-----
"""


def embedded(text: str = ARMORED) -> str:
    """The key as apt wants it in a stanza: each line indented, an empty one as a dot."""
    return "".join(f"\n {line or '.'}" for line in text.splitlines())


# -- which files apt reads


def found(root: FakeRoot, kind: FileKind) -> list[str]:
    """The files of this kind that are there, below the root."""
    return [
        os.path.relpath(path, root.path)
        for path, its_kind in sources.configuration_files(root.paths)
        if its_kind is kind and os.path.exists(path)
    ]


@pytest.mark.parametrize(
    ("directory", "kind", "read", "ignored"),
    [
        (
            "sources.list.d",
            FileKind.SOURCE,
            ["a.list", "b.sources", "with_all-the.dots.list", "-.list"],
            ["c.list.save", "d.list.distUpgrade", "e", "f.conf", "g.list~", "ü.list", "h i.list"],
        ),
        (
            "preferences.d",
            FileKind.PREFERENCES,
            ["99pins", "a.pref"],
            ["b.pref.disabled", "c.conf", "d.pref~", ".hidden"],
        ),
        ("apt.conf.d", FileKind.CONFIGURATION, ["01x", "a.conf"], ["b.conf.dpkg-old", "c.bak"]),
        ("auth.conf.d", FileKind.CREDENTIALS, ["a.conf", "vendor"], ["b.conf.save"]),
        ("trusted.gpg.d", FileKind.TRUSTED_KEY, ["a.gpg", "b.asc"], ["c", "d.gpg~", "e.kbx"]),
    ],
)
def test_parts_are_those_that_apt_reads(
    root: FakeRoot, directory: str, kind: FileKind, read: list[str], ignored: list[str]
) -> None:
    for name in (*read, *ignored, ".hidden.list", ".hidden.pref", ".a.conf", ".a.gpg"):
        root.write(f"etc/apt/{directory}/{name}", "")
    assert found(root, kind) == [f"etc/apt/{directory}/{name}" for name in sorted(read)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sources.list", FileKind.SOURCE),
        ("preferences", FileKind.PREFERENCES),
        ("apt.conf", FileKind.CONFIGURATION),
        ("auth.conf", FileKind.CREDENTIALS),
        ("trusted.gpg", FileKind.TRUSTED_KEY),
    ],
)
def test_the_main_files_are_read_first(root: FakeRoot, name: str, kind: FileKind) -> None:
    main = root.write(f"etc/apt/{name}", "")
    order = [path for path, its_kind in sources.configuration_files(root.paths) if its_kind is kind]
    assert order[0] == main


def test_a_root_without_apt(root: FakeRoot) -> None:
    assert not any(os.path.exists(p) for p, _kind in sources.configuration_files(root.paths))


def test_a_directory_that_is_a_file(root: FakeRoot) -> None:
    root.write("etc/apt/sources.list.d", "")
    assert found(root, FileKind.SOURCE) == []


# -- keyrings


@pytest.mark.parametrize(
    ("line", "keyrings"),
    [
        ("deb [signed-by=/k/a.gpg] http://h trixie main", ["/k/a.gpg"]),
        ("deb-src [signed-by=/k/a.gpg] http://h trixie main", ["/k/a.gpg"]),
        ("deb [ arch=amd64 signed-by=/k/a.gpg ] http://h trixie main", ["/k/a.gpg"]),
        ("deb [arch=amd64,i386 signed-by=/k/a.gpg lang=de] http://h ./", ["/k/a.gpg"]),
        ("deb [Signed-By=/k/a.gpg] http://h trixie main", ["/k/a.gpg"]),
        ("deb [signed-by+=/k/a.gpg] http://h trixie main", ["/k/a.gpg"]),
        ("deb [signed-by=/k/a.gpg,/k/b.asc] http://h trixie main", ["/k/a.gpg", "/k/b.asc"]),
        ("  deb\t[signed-by=/k/a.gpg]\thttp://h\ttrixie\tmain  ", ["/k/a.gpg"]),
        ("deb [signed-by=/k/a.gpg]http://h trixie main", ["/k/a.gpg"]),
        ("deb [signed-by=/k/a.gpg] http://h trixie main\r", ["/k/a.gpg"]),
        ("deb [signed-by=/k/../k/a.gpg] http://h trixie main", ["/k/a.gpg"]),
        ("deb [signed-by=//k//a.gpg] http://h trixie main", ["/k/a.gpg"]),
        ("deb [signed-by=0123456789ABCDEF0123456789ABCDEF01234567] http://h trixie main", []),
        ("deb [signed-by=relative.gpg] http://h trixie main", []),
        ("deb [trusted=yes] http://h trixie main", []),
        ("deb http://h trixie main", []),
        ("deb http://h trixie main # [signed-by=/k/a.gpg]", []),
        ("deb http://h/[signed-by=/k/a.gpg] trixie main", []),
        ("# deb [signed-by=/k/a.gpg] http://h trixie main", []),
        ("#deb [signed-by=/k/a.gpg] http://h trixie main", []),
        ("debs [signed-by=/k/a.gpg] http://h trixie main", []),
        ("deb [signed-by=/k/a.gpg", []),
        ("deb [signed-by=/k/a\0.gpg] http://h trixie main", []),
        ("deb [signed-by=/k/a\x1b[31m.gpg] http://h trixie main", []),
    ],
)
def test_keyrings_of_a_line(line: str, keyrings: list[str]) -> None:
    assert sources.keyrings(LIST, line.encode()) == keyrings


def test_keyrings_of_many_lines() -> None:
    text = """\
# the vendor's
deb [signed-by=/k/b.gpg] http://h trixie main
deb-src [signed-by=/k/b.gpg] http://h trixie main

deb
http://not.a.line/ trixie main
deb [signed-by=/k/a.gpg] http://other trixie main contrib
"""
    assert sources.keyrings(LIST, text.encode()) == ["/k/b.gpg", "/k/a.gpg"]
    assert sources.keyrings(LIST, text.replace("\n", "\r\n").encode()) == ["/k/b.gpg", "/k/a.gpg"]


STANZA = "Types: deb\nURIs: http://h\nSuites: trixie\nComponents: main\n"


@pytest.mark.parametrize(
    ("field", "keyrings"),
    [
        ("Signed-By: /k/a.gpg", ["/k/a.gpg"]),
        ("signed-by:/k/a.gpg", ["/k/a.gpg"]),
        ("SIGNED-BY:\t/k/a.gpg  ", ["/k/a.gpg"]),
        ("Signed-By:\n /k/a.gpg", ["/k/a.gpg"]),
        ("Signed-By: /k/a.gpg /k/b.gpg", ["/k/a.gpg", "/k/b.gpg"]),
        ("Signed-By: /k/a.gpg, /k/b.gpg", ["/k/a.gpg", "/k/b.gpg"]),
        ("Signed-By: /k/a.gpg\n\t/k/b.gpg", ["/k/a.gpg", "/k/b.gpg"]),
        ("Signed-By: /k/a.gpg\n# a comment\n /k/b.gpg", ["/k/a.gpg", "/k/b.gpg"]),
        ("Signed-By: /k/../k/a.gpg", ["/k/a.gpg"]),
        ("Signed-By: 0123456789ABCDEF0123456789ABCDEF01234567", []),
        ("Signed-By:", []),
        ("#Signed-By: /k/a.gpg", []),
        ("X-Signed-By: /k/a.gpg", []),
        ("Enabled: no\nSigned-By: /k/a.gpg", ["/k/a.gpg"]),
        (f"Signed-By:{embedded()}", []),
    ],
)
def test_keyrings_of_a_stanza(field: str, keyrings: list[str]) -> None:
    for text in (f"{STANZA}{field}\n", f"{field}\n{STANZA}", f"{STANZA}{field}"):
        for ending in ("\n", "\r\n"):
            content = text.replace("\n", ending).encode()
            assert sources.keyrings(SOURCES, content) == keyrings


def test_keyrings_of_several_stanzas() -> None:
    text = f"""\
# Debian's own

{STANZA}Signed-By: /k/a.gpg

{STANZA}Signed-By:{embedded()}
{" " * 3}
{STANZA}Signed-By: /k/b.gpg
"""
    assert sources.keyrings(SOURCES, text.encode()) == ["/k/a.gpg", "/k/b.gpg"]


def test_the_format_goes_by_the_name() -> None:
    line = b"deb [signed-by=/k/a.gpg] http://h trixie main\n"
    assert sources.keyrings(SOURCES, line) == []
    assert sources.keyrings(LIST, f"{STANZA}Signed-By: /k/a.gpg\n".encode()) == []


@pytest.mark.parametrize("path", [LIST, SOURCES])
def test_what_is_no_utf_8_spoils_nothing_else(path: str) -> None:
    content = (
        b"# J\xfcrgen's\ndeb [signed-by=/k/a.gpg] http://h trixie main\n"
        if path == LIST
        else b"# J\xfcrgen's\nX-Who: J\xfcrgen\n" + f"{STANZA}Signed-By: /k/a.gpg\n".encode()
    )
    assert sources.keyrings(path, content) == ["/k/a.gpg"]
    assert sources.suites(path, content) == {"trixie"}


@given(st.sampled_from([LIST, SOURCES]), st.binary(max_size=200))
def test_any_bytes_are_read(path: str, content: bytes) -> None:
    assert all(os.path.isabs(keyring) for keyring in sources.keyrings(path, content))
    assert all(sources.suites(path, content))


@given(
    st.sampled_from([LIST, SOURCES]),
    st.text(st.sampled_from("deb[]= :/,.#\n\t-signed-bySuites\0\x1b")),
)
def test_any_text_like_it_gives_paths_that_can_be_opened(path: str, text: str) -> None:
    for keyring in sources.keyrings(path, text.encode()):
        assert ".." not in keyring.split("/")
        assert keyring.isprintable()
        Path(keyring).is_file()  # raises ValueError for a NUL


# -- suites


@pytest.mark.parametrize(
    ("text", "suites"),
    [
        ("deb http://h trixie main\n", {"trixie"}),
        ("deb http://h trixie/updates main contrib # comment\n", {"trixie/updates"}),
        ("deb [arch=amd64] http://h ./\n", {"./"}),
        ("deb http://h a main\ndeb-src http://h b main\n# deb http://h c main\n", {"a", "b"}),
        ("deb http://h\ndeb http://h stable main\n", {"stable"}),
        ("", set()),
    ],
)
def test_suites_of_lines(text: str, suites: set[str]) -> None:
    assert sources.suites(LIST, text.encode()) == suites


@pytest.mark.parametrize(
    ("text", "suites"),
    [
        (STANZA, {"trixie"}),
        (STANZA.replace("trixie", "trixie trixie-updates"), {"trixie", "trixie-updates"}),
        (STANZA.replace("trixie", "trixie\n  trixie-updates"), {"trixie", "trixie-updates"}),
        (f"{STANZA}\n{STANZA.replace('trixie', 'sid')}", {"trixie", "sid"}),
        (f"{STANZA}Enabled: no\n", set()),
        (f"{STANZA}Enabled: No\n", set()),
        (f"{STANZA}Enabled: false\n", set()),
        (f"{STANZA}Enabled: 0\n", set()),
        (f"{STANZA}Enabled: yes\n", {"trixie"}),
        (f"Enabled: no\n{STANZA}\n{STANZA.replace('trixie', 'sid')}", {"sid"}),
        ("", set()),
    ],
)
def test_suites_of_stanzas(text: str, suites: set[str]) -> None:
    assert sources.suites(SOURCES, text.encode()) == suites


# -- entries


def test_everything_of_a_line() -> None:
    line = b"deb [trusted=yes signed-by=/k/a.gpg] http://h/debian trixie main contrib # why\n"
    (entry,) = sources.entries(LIST, line)
    assert entry == sources.Entry(
        ("http://h/debian",), ("trixie",), ("main", "contrib"), ("/k/a.gpg",), trusted=True
    )


def test_everything_of_a_stanza() -> None:
    text = (
        f"{STANZA.replace('http://h', 'http://h http://g')}Trusted: yes\nSigned-By:{embedded()}\n"
    )
    (entry,) = sources.entries(SOURCES, text.encode())
    assert entry.uris == ("http://h", "http://g")
    assert entry.components == ("main",)
    assert entry.trusted
    assert entry.enabled
    assert entry.embedded_key.strip() == ARMORED.strip()
    assert entry.keyrings == ()


@pytest.mark.parametrize("text", ["Types: deb\nURIs: http://h\n", "Suites: trixie\n", "x"])
def test_what_apt_can_not_read_is_passed_over(text: str) -> None:
    assert sources.entries(SOURCES, text.encode()) == []
