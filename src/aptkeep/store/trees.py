"""Kept trees in the store: listings, and the content of the files in them by SHA-256.

    trees/9f86d081884c….json.gz   what is wanted at which path
    files/2c26b46b68ff…           the content of a file

On the hook path, where paths are kept.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from aptkeep import files
from aptkeep.errors import CorruptError
from aptkeep.model import KeptTree, NodeKind
from aptkeep.store.format import listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aptkeep.model import Node
    from aptkeep.store.tree import Directory

SUBDIRECTORY, CONTENTS = "trees", "files"
_LIMIT = 64 << 20
_PIECE = 1 << 20


def location(tree: KeptTree) -> tuple[str, str]:
    """Directory and name of a listing in the store."""
    return SUBDIRECTORY, f"{tree.sha256}.json.gz"


def write(store: Directory, nodes: Mapping[str, Node]) -> KeptTree | None:
    """Keep a listing; None for one of nothing."""
    if not nodes:
        return None
    content = listing.encode(nodes)
    size = sum(node.size for node in nodes.values())
    tree = KeptTree(hashlib.sha256(content).hexdigest(), len(nodes), size)
    subdirectory, name = location(tree)
    with store.subdirectory(subdirectory, create=True) as directory:
        directory.remove_unfinished()
        directory.write(name, content)
    return tree


def read(store: Directory, tree: KeptTree | None) -> dict[str, Node]:
    """The nodes of a tree by path. Raises CorruptError where its listing isn't what was kept."""
    if tree is None:
        return {}
    subdirectory, name = location(tree)
    shown = f"{store.path}/{subdirectory}/{name}"
    try:
        with store.subdirectory(subdirectory) as directory:
            content = directory.read(name, _LIMIT)
    except FileNotFoundError:
        raise _damaged(shown, "it is gone") from None
    if hashlib.sha256(content).hexdigest() != tree.sha256:
        raise _damaged(shown, "its SHA-256 is not the recorded one")
    try:
        return listing.decode(content)
    except ValueError as error:
        raise _damaged(shown, str(error)) from error


class Contents:
    """The contents of kept files, locked: nobody else adds any, and `gc` deletes none."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._added = 0

    def receive(self, descriptor: int, *, private: bool, limit: int) -> str:
        """Keep what a descriptor holds, for root alone if `private`; its SHA-256.

        NotRegularError where it has over `limit` bytes.
        """
        here, mode, synced = self._directory, 0o600 if private else 0o644, self._added < files.FEW
        received = here.received(descriptor, mode=mode, limit=limit, synced=synced)
        with received as (temporary, sha256, _size):
            if private or not here.has(sha256) or _digest_of(here, sha256) != sha256:
                here.rename(temporary, sha256)
                self._added += 1
        return sha256

    def has(self, sha256: str) -> bool:
        """Whether something is kept under that name."""
        return self._directory.has(sha256)

    def sync(self) -> None:
        """Have everything that was received on disk, before anything names it."""
        if self._added:
            self._directory.sync(whole=self._added > files.FEW)


@contextlib.contextmanager
def locked(store: Directory, timeout: float) -> Iterator[Contents]:
    """The contents, for as long as nobody else may change them."""
    with store.subdirectory(CONTENTS, create=True) as directory:
        directory.lock(timeout)
        directory.remove_unfinished()
        yield Contents(directory)


@contextlib.contextmanager
def opened(store: Directory, path: str, node: Node) -> Iterator[int]:
    """A descriptor, for reading, of what was kept of `path`; what it holds is yet to be checked.

    Raises CorruptError where it is gone.
    """
    assert node.kind is NodeKind.FILE and node.sha256 is not None  # noqa: S101, PT018
    with contextlib.ExitStack() as stack:
        try:
            directory = stack.enter_context(store.subdirectory(CONTENTS))
            descriptor = stack.enter_context(directory.opened(node.sha256))
        except FileNotFoundError:
            raise altered(store, path, node) from None
        yield descriptor


def size(store: Directory) -> int:
    """Bytes of all contents."""
    try:
        with store.subdirectory(CONTENTS) as directory:
            found = [directory.stat(name) for name in directory.names()]
    except FileNotFoundError:
        return 0
    return sum(there.st_size for there in found if there is not None)


def lost(store: Directory, nodes: Iterable[Node]) -> set[str]:
    """The SHA-256 of all contents that aren't there in their size; what they hold isn't read."""
    sizes = {node.sha256: node.size for node in nodes if node.sha256 is not None}
    try:
        with store.subdirectory(CONTENTS) as directory:
            found = {sha256: directory.stat(sha256) for sha256 in sizes}
    except FileNotFoundError:
        return set(sizes)
    return {s for s, there in found.items() if there is None or there.st_size != sizes[s]}


def altered(store: Directory, path: str, node: Node) -> CorruptError:
    """The error for a content that isn't, or is no longer, what was kept of `path`."""
    return CorruptError(
        f"the kept copy of {path} can't be used: {store.path}/{CONTENTS}/{node.sha256} is gone or "
        "was altered",
        details=f"{path} was not put back",
        resolution=f"run 'aptkeep record' where {path} still is, or write it again",
    )


def verify(store: Directory, path: str, node: Node) -> None:
    """Raise CorruptError unless the content of a file is there and what was kept."""
    try:
        with store.subdirectory(CONTENTS) as directory:
            found = _digest_of(directory, str(node.sha256))
    except FileNotFoundError:
        found = ""
    if found != node.sha256:
        raise altered(store, path, node)


def _digest_of(directory: Directory, name: str) -> str:
    digest = hashlib.sha256()
    with directory.opened(name) as descriptor, open(descriptor, "rb", closefd=False) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _damaged(shown: str, reason: str) -> CorruptError:
    return CorruptError(
        f"the listing {shown} is damaged: {reason}",
        details="the files below Aptkeep::Keep that it lists can't be put back",
        resolution="run 'aptkeep record' on a machine that still has them, put a good copy of the "
        "home back, or go to an older generation with 'aptkeep rollback'",
    )
