"""What is to be said of the kept sources and their keys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aptkeep.machine.apt.output import failed_repositories
from aptkeep.machine.sources import Entry
from aptkeep.model import FileKind, KeptFile, PublicKey
from aptkeep.repositories import Keyring, SourceReport, diagnose, named, report
from unit.machine.apt.samples import RELEASES, sample
from unit.made import TRIXIE, file
from unit.strategies import KEY, USER_SOURCE

TODAY, SOON = "2026-11-24", "2026-12-24"
GOOD = PublicKey("A" * 40, "Vendor <v@example.org>")
OTHER = PublicKey("B" * 40, "")
ENTRY = Entry(("http://h",), ("trixie", "sid"), ("main",), (KEY,))


def reported(entry: Entry, *keys: PublicKey, proven: str | None = "2026-01-01") -> SourceReport:
    """The report of one source with one keyring."""
    kept = replace(file(on=TRIXIE), proven=proven)
    keyring = replace(file(kind=FileKind.KEY, on=TRIXIE), keys=keys)
    (one,) = report({USER_SOURCE: (kept, [entry])}, {USER_SOURCE: kept, KEY: keyring}, TODAY, SOON)
    return one


def test_a_source_that_is_in_order() -> None:
    assert reported(ENTRY, GOOD) == SourceReport(
        USER_SOURCE,
        ("http://h trixie", "http://h sid"),
        (Keyring(KEY, (GOOD,), kept=True),),
        "2026-01-01",
        "",
        (),
    )


def test_a_keyring_that_is_not_kept() -> None:
    kept = file(on=TRIXIE)
    (one,) = report({USER_SOURCE: (kept, [ENTRY])}, {USER_SOURCE: kept}, TODAY, SOON)
    assert one.keyrings == (Keyring(KEY, (), kept=False),)


def test_a_source_that_is_disabled_offers_nothing() -> None:
    one = reported(replace(ENTRY, enabled=False), GOOD, proven=None)
    assert one.repositories == ()
    assert one.unproven == ""


@pytest.mark.parametrize(
    ("entry", "word"), [(ENTRY, "apt-get update"), (replace(ENTRY, trusted=True), "trusted=yes")]
)
def test_a_source_that_was_never_proven_says_why(entry: Entry, word: str) -> None:
    assert word in reported(entry, GOOD, proven=None).unproven


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (replace(GOOD, revoked=True), ["revoked", "get the new one"]),
        (replace(GOOD, expires="2026-11-23"), ["expired on 2026-11-23", "get the new one"]),
        (replace(GOOD, expires="2026-11-24"), ["expires on 2026-11-24"]),
        (replace(GOOD, expires="2026-12-24"), ["expires on 2026-12-24"]),
    ],
)
def test_a_key_that_is_no_good_or_soon_will_be(key: PublicKey, words: list[str]) -> None:
    (trouble,) = reported(ENTRY, key).troubles
    assert named(key) in trouble
    assert all(word in trouble for word in words)
    assert KEY in trouble


def test_a_key_that_is_good_for_long_is_no_trouble() -> None:
    assert reported(ENTRY, replace(GOOD, expires="2026-12-25")).troubles == ()


def test_another_good_key_in_the_keyring_is_a_comfort() -> None:
    (trouble,) = reported(ENTRY, replace(GOOD, expires="2020-01-01"), OTHER).troubles
    assert "another that is good" in trouble
    assert reported(ENTRY, replace(GOOD, expires=TODAY), OTHER).troubles == ()


def test_a_key_of_nobody() -> None:
    assert named(OTHER) == f"the key {'B' * 40} of nobody named"


# -- where apt could not verify a repository

HELD = [Keyring(KEY, (GOOD,), kept=True)]
BAD = "http://127.0.0.1:8002 stable"

releases = pytest.mark.parametrize("release", RELEASES)


def failure(release: str, name: str) -> str:
    """Why the bad repository failed, in apt's words, in a sample of real output."""
    failed = {f.name: f.reason for f in failed_repositories(sample(release, name))}
    return failed[BAD]


@releases
@pytest.mark.parametrize("name", ["update-wrong-key", "update-again-wrong-key"])
def test_a_repository_signed_by_another_key(release: str, name: str) -> None:
    text = diagnose(failure(release, name), HELD, TODAY)
    assert text is not None
    assert named(GOOD) in text
    assert KEY in text


@releases
def test_a_keyring_that_is_missing(release: str) -> None:
    missing = [Keyring(KEY, (), kept=False)]
    text = diagnose(failure(release, "update-missing-keyring"), missing, TODAY)
    assert text is not None
    assert f"{KEY} is not there" in text


@releases
def test_a_keyring_that_can_not_be_read(release: str) -> None:
    unreadable = [Keyring(KEY, (), kept=True)]
    text = diagnose(failure(release, "update-wrong-key"), unreadable, TODAY)
    assert text is not None
    assert "no key that can be read" in text


@releases
@pytest.mark.parametrize("name", ["update-unsigned", "update-again-unsigned"])
def test_a_repository_that_is_not_signed(release: str, name: str) -> None:
    """Whatever key we have: that one is not to blame."""
    for keyrings in (HELD, [], [Keyring(KEY, (), kept=False)]):
        text = diagnose(failure(release, name), keyrings, TODAY)
        assert text is not None
        assert "not signed" in text
        assert GOOD.fingerprint not in text


@releases
def test_a_captive_portal(release: str) -> None:
    text = diagnose(failure(release, "update-captive-portal"), HELD, TODAY)
    assert text is None or "network" in text or "log in" in text


@pytest.mark.parametrize(
    "reason",
    [
        "The following signatures were invalid: BADSIG 5035002DCBBF25D6 Vendor",
        "Sub-process /usr/bin/sqv returned an error code (1): Message has been manipulated",
    ],
)
def test_a_repository_that_was_changed_on_the_way(reason: str) -> None:
    text = diagnose(reason, HELD, TODAY)
    assert text is not None
    assert "changed" in text
    assert GOOD.fingerprint not in text


def test_a_key_that_expired_is_said() -> None:
    expired = replace(GOOD, expires="2026-11-23")
    reason = "The following signatures were invalid: EXPKEYSIG 5035002DCBBF25D6 Vendor"
    text = diagnose(reason, [Keyring(KEY, (expired,), kept=True)], TODAY)
    assert text is not None
    assert "expired on 2026-11-23" in text


@releases
@pytest.mark.parametrize(
    "name",
    [
        "update-refused",
        "update-404",
        "update-503",
        "update-index-404",
        "update-again-403",
        "update-again-401",
        "update-again-expired",
        "update-again-future",
        "update-again-changed-suite",
    ],
)
def test_other_failures_are_in_apts_own_words(release: str, name: str) -> None:
    expired = replace(GOOD, expires="2020-01-01")
    reason = failure(release, name)
    assert diagnose(reason, [Keyring(KEY, (expired,), kept=True)], TODAY) is None


def test_a_source_without_a_keyring_is_in_apts_own_words() -> None:
    assert diagnose("couldn't be verified: NO_PUBKEY 5035002DCBBF25D6", [], TODAY) is None


def test_only_kept_keyrings_are_keyrings() -> None:
    """A path that is kept as something else holds no keys."""
    kept = file(on=TRIXIE)
    odd: KeptFile = file(on=TRIXIE)
    (one,) = report({USER_SOURCE: (kept, [ENTRY])}, {KEY: odd}, TODAY, SOON)
    assert not one.keyrings[0].kept
