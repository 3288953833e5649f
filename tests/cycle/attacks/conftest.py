"""One machine for all attacks: it's put back to what it was between two of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cycle.attacks.siege import ALPHA, CANARY, EVIL, MARK, TOOL, Siege
from cycle.conftest import extended
from cycle.keeping import add_source, aptkeep, install, start
from testbed import images, packages
from testbed.images import Image
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

OWN = TinyPackage("own", scripts={"postinst": "true"})
"""From no repository, and so in the pool."""
THEIRS = TinyPackage("theirs", scripts={"postinst": "true"})


@pytest.fixture(scope="session")
def fortress(workstation_image: Image, session_scratch: Path, signing_key: SigningKey) -> Image:
    """The image: a second user, root's secrets, and the attacker's tools."""
    directory = session_scratch / "fortress"
    directory.mkdir()
    secrets = {path: f"{CANARY}\n".encode() for path in ("/root/secret", "/srv/victim")}
    evil = replace(THEIRS, scripts={"postinst": f"echo {MARK.decode()}"})
    debs = {
        "/srv/theirs/theirs_1.0_all.deb": packages.build(THEIRS, directory / "good").read_bytes(),
        "/srv/theirs/evil.deb": packages.build(evil, directory / "evil").read_bytes(),
    }
    tool = Path(__file__).parent / "attacker.py"
    secrets["/root/secret.asc"] = f"{CANARY}\n".encode() + signing_key.public()
    victims = {
        f"/srv/victims/{below}": f"{CANARY}\n".encode()
        for below in ("log", "generations/000009.json", "files/x", "pool/Packages")
    }
    return extended(
        images.without_archive(workstation_image),
        directory,
        (),
        [
            ["useradd", "--no-create-home", "--uid", "1001", "mallory"],
            ["chmod", "0755", TOOL],
            ["chmod", "0600", "/root/secret", "/srv/victim", "/root/secret.asc"],
            # What root has elsewhere would pass for a store, if links were followed.
            ["sh", "-c", "mkdir -p /srv/victims/share && cp -r /srv/victims /srv/aptkeep"],
            ["mv", "/srv/aptkeep", "/srv/victims/share/aptkeep"],
        ],
        {
            TOOL: b"#!/usr/bin/python3 -I\n" + tool.read_bytes(),
            "/etc/apt/apt.conf.d/keep": b'Aptkeep::Keep "/opt/kept"; Aptkeep::Hook::Timeout "5";\n',
            **secrets,
            **victims,
            **debs,
        },
    )


@pytest.fixture(scope="session")
def siege(fortress: Image, session_scratch: Path, signing_key: SigningKey) -> Iterator[Siege]:
    """The machine after a good deal of recording: there is something of every kind in its store."""
    with besieged(fortress, session_scratch / "siege", signing_key) as made:
        yield made


@pytest.fixture(scope="session")
def signed_siege(
    fortress: Image, session_scratch: Path, signing_key: SigningKey
) -> Iterator[Siege]:
    """The same where the store is the user's, and believed for its signatures."""
    scratch = session_scratch / "signed-siege"
    scratch.mkdir()
    trust = b'Aptkeep::Trust "signed"; Aptkeep::Trust::Key "/etc/aptkeep.key";\n'
    keygen = ("aptkeep", "keygen", "/etc/aptkeep.key")
    image = extended(fortress, scratch, (), [keygen], {"/etc/apt/apt.conf.d/trust": trust})
    with besieged(image, scratch, signing_key) as made:
        yield made


@contextmanager
def besieged(image: Image, scratch: Path, key: SigningKey) -> Iterator[Siege]:
    saved = scratch / "saved"
    saved.mkdir(parents=True)
    with (
        Repository(scratch / "repository", key) as repository,
        Workstation(image, scratch=scratch) as machine,
    ):
        repository.publish(ALPHA, EVIL)
        machine.boot()
        start(machine)
        add_source(machine, repository)
        machine.write(
            "/etc/apt/auth.conf.d/local.conf", f"machine x login y password {CANARY}\n", 0o600
        )
        machine.write("/opt/kept/file", "kept\n")
        install(machine, "alpha")
        machine.copy_in(packages.build(OWN, scratch / "debs"), f"/root/{OWN.file_name}")
        install(machine, f"/root/{OWN.file_name}")
        aptkeep(machine, "record")
        start(machine)
        made = Siege(machine, saved)
        made.save()
        yield made
