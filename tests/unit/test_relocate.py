"""Sources that are rewritten to name the copies of their keys in the home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aptkeep.machine import sources
from aptkeep.relocate import rewritten, unreadable_for_apt

LIST = "/etc/apt/sources.list.d/vendor.list"
SOURCES = "/etc/apt/sources.list.d/vendor.sources"
COPIES = {"/k/a.gpg": "/home/u/copy-a.gpg", "/k/b.asc": "/home/u/copy-b.asc"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "deb [signed-by=/k/a.gpg] http://h sid main",
            "deb [signed-by=/home/u/copy-a.gpg] http://h sid main",
        ),
        (
            "deb-src\t[ arch=all Signed-By=/k/a.gpg,/k/b.asc ]  http://h a #\r",
            "deb-src\t[ arch=all Signed-By=/home/u/copy-a.gpg,/home/u/copy-b.asc ]  http://h a #\r",
        ),
        (
            "deb [signed-by=/k/../k/a.gpg] http://h sid main",
            "deb [signed-by=/home/u/copy-a.gpg] http://h sid main",
        ),
        ("deb [signed-by=/k/other.gpg] http://h sid main", None),
        ("deb [signed-by=/k/a.gpg.old] http://h sid main", None),
        ("# deb [signed-by=/k/a.gpg] http://h sid main", None),
        ("deb http://h/k/a.gpg sid main # [signed-by=/k/a.gpg]", None),
        ("deb file:/k/a.gpg sid main", None),
        ("not a line [signed-by=/k/a.gpg]", None),
        ("", None),
    ],
)
def test_a_line(old: str, new: str | None) -> None:
    expected = old if new is None else new
    assert rewritten(LIST, old.encode(), COPIES) == expected.encode()


STANZA = "Types: deb\nURIs: http://h\nSuites: sid\nComponents: main\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Signed-By: /k/a.gpg", "Signed-By: /home/u/copy-a.gpg"),
        ("signed-by:/k/a.gpg\r", "signed-by:/home/u/copy-a.gpg\r"),
        (
            "Signed-By:  /k/a.gpg,  /k/b.asc",
            "Signed-By:  /home/u/copy-a.gpg,  /home/u/copy-b.asc",
        ),
        (
            "Signed-By:\n /k/a.gpg\n# /k/a.gpg\n\t/k/b.asc",
            "Signed-By:\n /home/u/copy-a.gpg\n# /k/a.gpg\n\t/home/u/copy-b.asc",
        ),
        ("X-Note: /k/a.gpg", None),
        ("X-Signed-By: /k/a.gpg", None),
        ("#Signed-By: /k/a.gpg", None),
    ],
)
def test_a_stanza(old: str, new: str | None) -> None:
    expected = old if new is None else new
    for before, after in ((STANZA, ""), ("", STANZA), (STANZA, f"\n{STANZA}X: /k/a.gpg\n")):
        text, result = f"{before}{old}\n{after}", f"{before}{expected}\n{after}"
        assert rewritten(SOURCES, text.encode(), COPIES) == result.encode()


@pytest.mark.parametrize("path", [LIST, SOURCES])
@given(data=st.data())
def test_what_it_says_changes_in_its_keys_alone(path: str, data: st.DataObject) -> None:
    """Whatever the source looks like: the same entries, and each keyring its copy or itself."""
    words = ["deb ", "[", "]", "signed-by=", "Signed-By: ", "URIs: http://h", "Suites: sid", "\n"]
    words += ["/k/a.gpg", "/k/b.asc", "/k/c.gpg", " ", ",", "#", "http://h", " sid main", "\n\n"]
    content = "".join(data.draw(st.lists(st.sampled_from(words)))).encode()
    changed = rewritten(path, content, COPIES)
    old, new = sources.entries(path, content), sources.entries(path, changed)
    assert [entry.uris for entry in old] == [entry.uris for entry in new]
    assert [entry.suites for entry in old] == [entry.suites for entry in new]
    for before, after in zip(old, new, strict=True):
        assert after.keyrings == tuple(COPIES.get(k, k) for k in before.keyrings)


@pytest.mark.parametrize("path", [LIST, SOURCES])
@given(content=st.binary(max_size=100))
def test_without_copies_no_byte_changes(path: str, content: bytes) -> None:
    assert rewritten(path, content, {}) == content
    assert rewritten(path, content, COPIES) == content


def test_apt_can_look_into_a_store_whose_whole_way_is_open(tmp_path: Path) -> None:
    store = tmp_path / "home/.local/share/aptkeep"
    store.mkdir(parents=True)
    way = [store, *store.parents]
    closed_anyway = [str(p) for p in way if not os.stat(p).st_mode & 0o001]
    for closed in (tmp_path / "home/.local", store):
        for directory in (store, *store.relative_to(tmp_path).parents):
            (tmp_path / directory).chmod(0o755)
        closed.chmod(0o700)
        assert unreadable_for_apt(str(store)) == str(closed)
    store.chmod(0o755)
    (tmp_path / "home/.local").chmod(0o755)
    found = unreadable_for_apt(str(store))
    assert found is None or found in closed_anyway
