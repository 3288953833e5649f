"""A kept key that isn't what was kept: it and its source are set aside, everything else comes back.

Whoever finds it so must know from the message alone which key, what is wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cycle.keeping import (
    aptkeep,
    install,
    installed,
    newest,
    next_boot,
    pending,
    said,
    start,
    store,
)
from cycle.sources.vendor import (
    KEYRINGS,
    SOURCES,
    complaints,
    one_line,
    reports,
    troubles,
    update,
    verified,
)
from testbed.fixtures import MakeRepository
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

Alter = Callable[[Path, SigningKey], object]


def _as_directory(copy: Path) -> None:
    copy.unlink()
    copy.mkdir()


def _as_link(copy: Path) -> None:
    real = copy.with_name("elsewhere")
    copy.rename(real)
    copy.symlink_to(real.name)


ALTERATIONS: dict[str, Alter] = {
    "replaced": lambda copy, other: copy.write_bytes(other.public()),
    "added": lambda copy, other: copy.write_bytes(copy.read_bytes() + other.public()),
    "truncated": lambda copy, _other: copy.write_bytes(copy.read_bytes()[:200]),
    "emptied": lambda copy, _other: copy.write_bytes(b""),
    "garbled": lambda copy, _other: copy.write_bytes(b"\x99\x00\xff<html>\x1b[31m\n"),
    "a-web-page": lambda copy, _other: copy.write_bytes(b"<html>404</html>"),
    "missing": lambda copy, _other: copy.unlink(),
    "a-directory": lambda copy, _other: _as_directory(copy),
    "a-link": lambda copy, _other: _as_link(copy),
    "large": lambda copy, _other: copy.write_bytes(b"\x99" * (17 << 20)),
}


@pytest.fixture
def vendor(make_repository: MakeRepository, vendor_key: SigningKey) -> Repository:
    made = make_repository("stable", key=vendor_key)
    made.publish(TinyPackage("wanted"), *(TinyPackage(f"only-{name}") for name in ALTERATIONS))
    return made


def key_path(name: str) -> str:
    return f"{KEYRINGS}/{name}.asc"


def add(machine: Workstation, vendor: Repository, name: str, key: SigningKey) -> str:
    """A source of its own below the repository, with a key of its own."""
    below = vendor.served / name
    if not below.exists():
        below.mkdir()
        for part in ("dists", "pool"):
            (below / part).symlink_to(f"../{part}")
    # A comment, so that each is another content and another file in the store.
    machine.write(key_path(name), f"of {name}\n".encode() + key.public())
    path = f"{SOURCES}/{name}.list"
    machine.write(path, f"deb [signed-by={key_path(name)}] {vendor.uri}/{name} stable main\n")
    return path


def copy_of(machine: Workstation, name: str) -> Path:
    (found,) = (store(machine) / "keyrings").glob(f"{name}.*")
    return found


def test_only_that_source_and_its_key_are_set_aside(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey, other_key: SigningKey
) -> None:
    for name in ("good", *ALTERATIONS):
        add(machine, vendor, name, vendor_key)
    update(machine)
    install(machine, "wanted")
    machine.stop()
    for name, alter in ALTERATIONS.items():
        copy = copy_of(machine, name)
        alter(copy, other_key)

    machine.boot()
    result = start(machine, code=1)
    reasons = pending(machine)
    expected = {key_path(name) for name in ALTERATIONS}
    expected |= {f"{SOURCES}/{name}.list" for name in ALTERATIONS}
    assert reasons.keys() == expected
    for name in ALTERATIONS:
        assert not machine.exists(key_path(name))
        assert not machine.exists(f"{SOURCES}/{name}.list")
        line = one_line(result, f"pending: {key_path(name)}: ")
        # Which key, what was expected, and what to do.
        assert vendor_key.fingerprint in line, name
        assert "Vendor <keys@vendor.example>" in line
        assert f"put it into {key_path(name)}" in line
        assert vendor_key.fingerprint in reasons[key_path(name)]
        assert key_path(name) in reasons[f"{SOURCES}/{name}.list"]
    for name in ("replaced", "added"):
        assert other_key.fingerprint in reasons[key_path(name)].partition("found was")[2]
    assert "\x1b" not in result.output
    # Everything else is here, and apt works.
    assert "wanted" in installed(machine)
    assert complaints(update(machine)) == set()
    assert verified(machine, vendor, "/good")
    # `verify` finds the same, and says which.
    problems = aptkeep(machine, "verify", code=3).output
    for name in ALTERATIONS:
        assert key_path(name) in problems, name
    # Said again at every start until it's mended, and never taken for the user's wish.
    again = start(machine, code=1)
    assert pending(machine).keys() == expected
    assert len(troubles(again)) >= 1
    assert expected <= newest(machine)["files"].keys()


@pytest.mark.parametrize("alteration", ["replaced", "missing"])
def test_remedy_that_the_message_names(
    machine: Workstation,
    vendor: Repository,
    vendor_key: SigningKey,
    other_key: SigningKey,
    alteration: str,
) -> None:
    """The user does just what was said: puts the vendor's key to its path, and starts again."""
    source = add(machine, vendor, "mended", vendor_key)
    update(machine)
    key = machine.read_bytes(key_path("mended"))
    install(machine, "wanted")
    machine.stop()
    ALTERATIONS[alteration](copy_of(machine, "mended"), other_key)
    machine.boot()
    start(machine, code=1)
    assert "wanted" not in installed(machine)

    machine.write(key_path("mended"), key)
    assert said(update(machine)) == []
    start(machine)
    assert machine.exists(source)
    assert "wanted" in installed(machine)
    assert pending(machine) == {}
    assert aptkeep(machine, "verify").stderr == ""
    back = next_boot(machine)
    assert troubles(back) == []
    assert machine.read_bytes(key_path("mended")) == key
    assert verified(machine, vendor, "/mended")


def test_user_types_the_instructions_once_more(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey, other_key: SigningKey
) -> None:
    """Key and source, as a vendor's page has it."""
    add(machine, vendor, "mended", vendor_key)
    update(machine)
    install(machine, "wanted")
    machine.stop()
    copy_of(machine, "mended").write_bytes(other_key.public())
    machine.boot()
    start(machine, code=1)
    add(machine, vendor, "mended", vendor_key)
    update(machine)
    install(machine, "wanted")
    assert pending(machine) == {}
    assert troubles(next_boot(machine)) == []
    assert "wanted" in installed(machine)


def test_key_that_two_sources_name_costs_both(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey, other_key: SigningKey
) -> None:
    first = add(machine, vendor, "first", vendor_key)
    add(machine, vendor, "second", vendor_key)
    shared = machine.read_text(first).replace("/first stable", "/second stable")
    machine.write(f"{SOURCES}/second.list", shared)
    update(machine)
    copy_of(machine, "first").write_bytes(other_key.public())
    next_boot(machine, code=1)
    assert pending(machine).keys() == {first, f"{SOURCES}/second.list", key_path("first")}
    assert complaints(update(machine)) == set()


def test_key_that_any_source_may_use_costs_those_that_name_none(
    machine: Workstation,
    make_repository: MakeRepository,
    vendor: Repository,
    vendor_key: SigningKey,
    other_key: SigningKey,
) -> None:
    """trusted.gpg.d: a source without Signed-By stands and falls with it, the others don't."""
    good = add(machine, vendor, "good", vendor_key)
    second = make_repository("plain", key=other_key)
    second.publish(TinyPackage("plain"))
    machine.write("/etc/apt/trusted.gpg.d/plain.asc", other_key.public())
    machine.write(f"{SOURCES}/plain.list", second.source_line())
    update(machine)
    install(machine, "plain", "wanted")
    copy_of(machine, "plain").write_bytes(vendor_key.public())
    result = next_boot(machine, code=1)
    assert "wanted" in installed(machine)
    assert machine.exists(good)
    assert not machine.exists("/etc/apt/trusted.gpg.d/plain.asc")
    reasons = pending(machine)
    assert {"/etc/apt/trusted.gpg.d/plain.asc", "plain"} <= reasons.keys()
    assert other_key.fingerprint in one_line(result, "trusted.gpg.d/plain.asc was altered")


def test_altered_copy_of_a_source_costs_that_source(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey
) -> None:
    add(machine, vendor, "good", vendor_key)
    bad = add(machine, vendor, "bad", vendor_key)
    update(machine)
    copy = store(machine) / "files" / newest(machine)["files"][bad]["sha256"]
    copy.write_bytes(copy.read_bytes().replace(b"/bad", b"/evil"))
    result = next_boot(machine, code=1)
    assert pending(machine).keys() == {bad}
    assert not machine.exists(bad)
    assert "SHA-256" in one_line(result, bad)
    assert complaints(update(machine)) == set()
    assert bad not in reports(machine, "status", code=1)
