"""The disk after a power cut: what may be there, and what must be."""

from __future__ import annotations

import stat
from collections.abc import Sequence

from faults.inside.calls import Call, Changed, Effect, Inode, Made, Moved, Synced, Unmade
from faults.inside.power import Disk, Tree

ROOT = Inode((1, 1), stat.S_IFDIR | 0o755, 0, 0, 0)
OLD = Inode((1, 2), stat.S_IFREG | 0o644, 0, 0, 0, b"old")
BEFORE = {"/r": ROOT, "/r/file": OLD}
EMPTY, FULL = (Inode((1, 3), OLD.mode, 0, 0, 0, content) for content in (b"", b"new!"))
CREATE: Sequence[Effect] = [Made(ROOT.key, ".new", EMPTY, fresh=True)]
WRITE, RENAME = [Changed(FULL)], [Moved(ROOT.key, ".new", ROOT.key, "file")]
SYNC_FILE, SYNC_NAMES = [Synced(FULL.key)], [Synced(ROOT.key)]


def after(*effects: Sequence[Effect], before: Tree = BEFORE) -> dict[str, dict[str, bytes]]:
    """What may be there: the contents of files by path, by what was lost."""
    disk = Disk(before, ["/r"])
    for each in effects:
        disk.carry_out(Call("call", "", tuple(each)))
    return {
        what: {p: found.content for p, found in tree.items() if stat.S_ISREG(found.mode)}
        for what, tree in disk.states()
    }


def test_atomic_writing_leaves_old_or_new() -> None:
    found = after(CREATE, WRITE, SYNC_FILE, RENAME)
    assert {state["/r/file"] for state in found.values()} == {b"old", b"new!"}
    found = after(CREATE, WRITE, SYNC_FILE, RENAME, SYNC_NAMES)
    assert list(found.values()) == [{"/r/file": b"new!"}]


def test_without_fsync_the_name_may_be_there_and_the_content_not() -> None:
    found = after(CREATE, WRITE, RENAME, SYNC_NAMES)
    contents = {state["/r/file"] for state in found.values()}
    assert contents == {b"", b"ne", bytes(4), b"new!"}


def test_the_later_may_be_there_and_the_earlier_not() -> None:
    other = Inode((1, 4), OLD.mode, 0, 0, 0, b"x")
    found = after([Unmade(ROOT.key, "file")], [Made(ROOT.key, "other", other, fresh=True)])
    assert found["all that was not fsynced"] == {"/r/file": b"old"}
    assert found["only the name of call 1"].keys() == {"/r/file", "/r/other"}
    assert found["all but the name of call 1"] == {}


def test_what_is_in_a_lost_directory_is_lost() -> None:
    inner = Inode((1, 5), ROOT.mode, 0, 0, 0)
    made = [Made(ROOT.key, "inner", inner, fresh=True)]
    file = [Made(inner.key, "file", FULL, fresh=True)]
    synced = [Synced(FULL.key), Synced(inner.key)]
    assert after(made, file, synced)["all that was not fsynced"] == {"/r/file": b"old"}
    assert "/r/inner/file" in after(made, file, synced, SYNC_NAMES)["all that was not fsynced"]


def test_all_at_once() -> None:
    assert list(after(CREATE, WRITE, RENAME, [Synced(None)]).values()) == [{"/r/file": b"new!"}]
