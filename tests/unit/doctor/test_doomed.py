"""Which changed files are lost, and how they are grouped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aptkeep.doctor import doomed
from aptkeep.doctor.doomed import Doomed, Fate
from aptkeep.machine.changed import ChangedFile
from aptkeep.machine.shipped import Shipped

SINCE = 1000.0
OLD = 10.0
"""When upstream wrote a file that a package brings."""


def md5(content: bytes) -> str:
    """As dpkg notes it."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


SHIPPED = Shipped(
    owners=dict.fromkeys(
        ("/etc/a.conf", "/usr/bin/a", "/usr/bin/b", "/usr/bin/link", "/usr/bin/sh"), "a"
    ),
    digests={"/etc/a.conf": md5(b"as shipped"), "/usr/bin/a": md5(b"as shipped")},
    conffiles=frozenset(("/etc/a.conf",)),
    diverted={"/usr/bin/sh": "dash"},
)


def dpkg_at_work(moment: float) -> bool:
    """dpkg ran from 2000 to 2010."""
    return 2000 <= moment <= 2010


def lost(*files: ChangedFile, content: bytes | None = b"altered") -> Doomed:
    """What becomes of these files, all with that content; None: they can't be read."""

    def read(_path: str) -> Iterator[bytes]:
        if content is None:
            raise PermissionError
        yield content[:3]
        yield content[3:]

    return doomed.lost(files, SHIPPED, dpkg_at_work=dpkg_at_work, since=SINCE, read=read)


def fates(*files: ChangedFile, content: bytes | None = b"altered") -> dict[str, Fate]:
    """The fate of each file that is lost."""
    found = lost(*files, content=content)
    return {file.path: fate for fate, members in found.files.items() for file in members}


def changed(path: str, at: float = 3000.0, modified: float = OLD, **more: bool) -> ChangedFile:
    """A file that was changed."""
    return ChangedFile(path, 10, at, modified, **more)


@pytest.mark.parametrize("path", ["/usr/local/bin/x", "/opt/x", "/root/x", "/srv/x", "/home/bob/x"])
def test_what_is_peoples_own_is_lost_whenever_it_was_changed(path: str) -> None:
    assert fates(changed(path), content=b"") == {path: Fate.LOOSE}
    assert fates(changed(path, at=2005.0), content=b"") == {path: Fate.LOOSE}


@pytest.mark.parametrize("path", ["/etc/x", "/usr/lib/x", "/var/lib/x/y", "/usr/localx"])
def test_what_maintainer_scripts_may_have_made_is_not_lost(path: str) -> None:
    assert fates(changed(path), content=b"") == {path: Fate.LOOSE}
    assert fates(changed(path, at=2005.0), content=b"") == {}


def test_a_conffile_is_lost_where_it_is_not_as_it_was_shipped() -> None:
    assert fates(changed("/etc/a.conf")) == {"/etc/a.conf": Fate.CONFFILE}
    assert fates(changed("/etc/a.conf"), content=b"as shipped") == {}


def test_a_conffile_is_lost_though_dpkg_ran_just_then() -> None:
    """dpkg tells what it brought; and a script goes on in the second in which apt ended."""
    assert fates(changed("/etc/a.conf", at=2010.0)) == {"/etc/a.conf": Fate.CONFFILE}


def test_another_file_of_a_package_is_lost_where_it_was_written_over() -> None:
    assert fates(changed("/usr/bin/a")) == {"/usr/bin/a": Fate.OVERWRITTEN}
    assert fates(changed("/usr/bin/a"), content=b"as shipped") == {}  # chmod, say
    assert fates(changed("/usr/bin/a", at=2005.0)) == {}


@pytest.mark.parametrize("link", [False, True])
def test_a_file_without_an_md5_goes_by_when_it_was_written(*, link: bool) -> None:
    path = "/usr/bin/link" if link else "/usr/bin/b"
    assert fates(changed(path, link=link), content=None) == {}
    written = changed(path, modified=SINCE, link=link)
    assert fates(written, content=None) == {path: Fate.OVERWRITTEN}


def test_a_diverted_file_is_whoevers_it_is() -> None:
    assert fates(changed("/usr/bin/sh", modified=3000.0), content=None) == {}


def test_what_cannot_be_read_is_said() -> None:
    found = lost(changed("/etc/a.conf"), changed("/opt/x"), content=None)
    assert found.unseen == ("/etc/a.conf",)
    assert [file.path for file in found.files[Fate.LOOSE]] == ["/opt/x"]


@given(
    st.lists(
        st.builds(
            changed,
            st.sampled_from([*SHIPPED.owners, "/etc/x", "/opt/x", "/usr/lib/x", "/var/lib/x/y"]),
            at=st.sampled_from([2005.0, 3000.0]),
            modified=st.sampled_from([OLD, 3000.0]),
        )
    )
)
def test_what_is_not_worth_a_look_is_not_lost(files: list[ChangedFile]) -> None:
    looked_at = doomed.worth_a_look(files, dpkg_at_work)
    assert lost(*looked_at) == lost(*files)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/usr/local/bin/hello", "/usr/local"),
        ("/usr/local/share/man/man1/hello.1", "/usr/local"),
        ("/usr/bin/hello", "/usr"),
        ("/opt/vendor/bin/tool", "/opt/vendor"),
        ("/opt/tool", "/opt"),
        ("/etc/hosts", "/etc"),
        ("/etc/group", doomed.ACCOUNTS),
        ("/etc/nginx/conf.d/site.conf", "/etc/nginx"),
        ("/srv/www/index.html", "/srv/www"),
        ("/root/.ssh/id", "/root"),
        ("/home/bob/x", "/home/bob"),
        ("/var/lib/postgresql/17/main/x", "/var/lib/postgresql"),
        ("/var/www/html/index.html", "/var/www"),
        ("/var/x", "/var"),
        ("/data/set/x", "/data"),
        ("/x", "/"),
    ],
)
def test_the_place_of_a_file(path: str, place: str) -> None:
    assert doomed.place_of(path) == place


def test_groups_are_counted_and_sized_the_largest_first() -> None:
    files = [ChangedFile(f"/opt/a/{n}", n, 0, 0) for n in range(9)]
    small, large = doomed.groups([ChangedFile("/srv/x/y", 7, 0, 0), *files])[::-1]
    assert (small.place, small.count, small.size, small.examples) == ("/srv/x", 1, 7, ("/srv/x/y",))
    assert (large.place, large.count, large.size) == ("/opt/a", 9, 36)
    assert large.examples == tuple(f"/opt/a/{n}" for n in (8, 7, 6, 5, 4))


def test_below() -> None:
    assert doomed.is_below("/opt/a/b", {"/opt/a"})
    assert doomed.is_below("/opt/a", {"/opt/a"})
    assert not doomed.is_below("/opt/ab", {"/opt/a"})
    assert not doomed.is_below("/opt", {"/opt/a"})
    assert doomed.is_below("/opt", {"/"})
