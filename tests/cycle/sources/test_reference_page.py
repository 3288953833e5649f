"""The example of the reference page, typed as it stands there by a user who has sudo.

A local repository stands in for the vendor's.
"""

from __future__ import annotations

import pytest

from cycle.keeping import installed, next_boot, pending, said, start
from cycle.sources.vendor import (
    HOME,
    SOURCES,
    USER,
    complaints,
    contents,
    key_of,
    troubles,
    update,
    verified,
)
from testbed.fixtures import MakeRepository, MakeWorkstation
from testbed.images import Image
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

# Of the page, but for the addresses of the vendor.
SCRIPT = """
sudo apt-get install --yes --no-install-recommends gpg
curl -fsSL {uri}/gpg | sudo gpg --dearmor -o {keyring}
echo "deb [signed-by={keyring}] {uri} $(lsb_release -cs) main" | \
    sudo tee /etc/apt/sources.list.d/redis.list
sudo apt-get update
sudo apt-get install --yes --no-install-recommends redis
"""
PLACES = {
    "original": "/etc/apt/trusted.gpg.d/redis-archive-keyring.gpg",
    "corrected": f"{HOME}/.local/share/redis-archive-keyring.gpg",
}


@pytest.fixture
def redis(make_repository: MakeRepository, suite: str) -> Repository:
    """A repository like the page's, with its key beside it."""
    made = make_repository(suite)
    made.publish(TinyPackage("redis", depends="redis-server"), TinyPackage("redis-server"))
    (made.served / "gpg").write_bytes(key_of(made).public())
    return made


@pytest.fixture
def workstation(make_workstation: MakeWorkstation, curl_image: Image) -> Workstation:
    """A workstation on which everything that the user does goes through sudo."""
    made = make_workstation(curl_image).boot()
    start(made)
    (made.home / ".local/share").mkdir(parents=True)
    made.run("chown", "-R", f"{USER}:", f"{HOME}/.local")
    return made


@pytest.mark.parametrize("place", PLACES)
def test_redis_comes_back(workstation: Workstation, redis: Repository, place: str) -> None:
    keyring = PLACES[place]
    first = workstation.sh(SCRIPT.format(uri=redis.uri, keyring=keyring), user=USER)
    assert said(first) == []
    before = contents(workstation, (keyring, f"{SOURCES}/redis.list"))
    complained = complaints(update(workstation))
    at_home = workstation.home / keyring.removeprefix(f"{HOME}/") if place == "corrected" else None
    untouched = at_home.stat() if at_home is not None else None

    again = next_boot(workstation)
    assert troubles(again) == []
    assert contents(workstation, before) == before
    assert {"redis", "redis-server"} <= installed(workstation).keys()
    assert pending(workstation) == {}
    assert complaints(update(workstation)) == complained == set()
    assert verified(workstation, redis)
    if at_home is not None and untouched is not None:
        now = at_home.stat()
        assert (now.st_ino, now.st_mtime_ns, now.st_ctime_ns, now.st_uid) == (
            *(untouched.st_ino, untouched.st_mtime_ns, untouched.st_ctime_ns),
            untouched.st_uid,
        )
    # What came back is no dead end: the vendor's next version is verified and installed.
    redis.publish(TinyPackage("redis", "2.0"))
    update(workstation)
    workstation.run("apt-get", "-qy", "upgrade")
    assert installed(workstation)["redis"] == "2.0"
