"""What users and downloads really leave in /etc/apt: each costs itself, and is said clearly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cycle.keeping import (
    aptkeep,
    generations,
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
    HOME,
    KEYRINGS,
    SOURCES,
    TRUSTED,
    USER,
    complaints,
    content_and_mode,
    one_line,
    secret,
    troubles,
    update,
    verified,
)
from testbed.fixtures import MakeRepository
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

PAGE = b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"
PRIVATE = "it holds a secret key"


@dataclass(frozen=True)
class Keys:
    """What bad keys are made of."""

    good: SigningKey
    other: SigningKey


@dataclass(frozen=True)
class BadKey:
    """Something at the path of a key, and a word of why it can't be kept."""

    content: Callable[[Keys], bytes] | None
    why: str
    ending: str = "asc"
    script: str = ""
    """Makes the file, `$1`, where it isn't a regular one."""
    directory: str = KEYRINGS


BAD_KEYS = {
    "truncated": BadKey(lambda k: k.good.public()[:300], "its end is missing"),
    "truncated-binary": BadKey(lambda k: k.good.public(armored=False)[:150], "cut off", "gpg"),
    "empty": BadKey(lambda _k: b"", "it is empty"),
    "blank": BadKey(lambda _k: b"\n\n", "it is empty"),
    "web-page": BadKey(lambda _k: PAGE, "it is a web page"),
    "web-page-binary": BadKey(lambda _k: b"\n" + PAGE, "it is a web page", "gpg"),
    "text": BadKey(lambda _k: b"curl: (6) Could not resolve host\n", "it is no OpenPGP key"),
    "signature": BadKey(
        lambda k: (k.good.home / "a-signature").read_bytes(), "it is no OpenPGP key", "gpg"
    ),
    "secret": BadKey(lambda k: secret(k.good), PRIVATE),
    "secret-binary": BadKey(lambda k: secret(k.good, armored=False), PRIVATE, "gpg"),
    "secret-behind-public": BadKey(lambda k: k.other.public() + secret(k.good), PRIVATE),
    "secret-behind-public-binary": BadKey(
        lambda k: k.other.public(armored=False) + secret(k.good, armored=False), PRIVATE, "gpg"
    ),
    "keybox": BadKey(lambda k: (k.good.home / "pubring.kbx").read_bytes(), "keybox", "gpg"),
    "large": BadKey(None, "larger", "gpg", 'head -c 104857600 /dev/zero > "$1"'),
    "missing": BadKey(None, "No such file", script="true"),
    "directory": BadKey(None, "no regular file", script='mkdir "$1"'),
    "fifo": BadKey(None, "no regular file", script='mkfifo "$1"'),
    "device": BadKey(None, "no regular file", script='mknod "$1" c 1 5'),
    "dangling-link": BadKey(None, "No such file", script='ln -s /nowhere "$1"'),
    "looping-link": BadKey(None, "symbolic links", script='ln -s "$1" "$1"'),
    "home-link": BadKey(
        None, "", "asc", f'ln -s {KEYRINGS}/good.asc "$1"', directory=f"{HOME}/keys"
    ),
    "home-secret": BadKey(lambda k: secret(k.good), PRIVATE, directory=f"{HOME}/keys"),
}


@pytest.fixture
def vendor(make_repository: MakeRepository, vendor_key: SigningKey) -> Repository:
    made = make_repository("stable", key=vendor_key)
    made.publish(TinyPackage("wanted"))
    return made


@pytest.fixture
def keys(vendor: Repository, vendor_key: SigningKey, other_key: SigningKey) -> Keys:
    signature = vendor_key.home / "a-signature"
    signature.write_bytes((vendor.served / "dists/stable/Release.gpg").read_bytes())
    return Keys(vendor_key, other_key)


def bad_key_path(name: str) -> str:
    bad = BAD_KEYS[name]
    return f"{bad.directory}/{name}.{bad.ending}"


def test_bad_keys_cost_themselves(machine: Workstation, vendor: Repository, keys: Keys) -> None:
    """One line for each, once; nothing of them in the home; the sources come back all the same."""
    vendor.install_source(machine, "good")
    update(machine)
    install(machine, "wanted")
    for name, bad in BAD_KEYS.items():
        path = bad_key_path(name)
        if bad.content is not None:
            machine.write(path, bad.content(keys), user=USER if HOME in path else None)
        else:
            machine.sh(f'mkdir -p {bad.directory}; set -- "{path}"; {bad.script}')
        line = f"deb [signed-by={path}] {vendor.uri}/{name} stable main\n"
        machine.write(f"{SOURCES}/{name}.list", line)
    # Not `apt-get update`: apt itself would wait for the fifo.
    first = aptkeep(machine, "record", code=1)
    for name, bad in BAD_KEYS.items():
        line = one_line(first, f" {bad_key_path(name)} is not kept")
        assert bad.why in line, name
        assert f"{SOURCES}/{name}.list" in line, "which source needs it"
    assert said(aptkeep(machine, "record", code=1)) == []
    files = newest(machine)["files"]
    assert files.keys() == {
        *(f"{SOURCES}/{name}.list" for name in ("good", *BAD_KEYS)),
        f"{KEYRINGS}/good.asc",
    }
    kept = [path.read_bytes() for path in store(machine).rglob("*") if path.is_file()]
    assert not any(b"PRIVATE KEY" in content for content in kept)
    assert len([c for c in kept if b"PUBLIC KEY BLOCK" in c or c[:1] == b"\x98"]) == 1

    back = next_boot(machine)
    assert all(machine.exists(f"{SOURCES}/{name}.list") for name in BAD_KEYS)
    assert "wanted" in installed(machine)
    assert verified(machine, vendor)
    # What is missing is said where people look, not at each start.
    assert not [line for line in said(back) if "Traceback" in line]
    shown = machine.run("aptkeep", "status", check=False).output
    assert bad_key_path("missing") in shown


def test_failed_download_says_so_at_the_update(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey
) -> None:
    """`curl … | gpg --dearmor` of an error page leaves an empty file; without gpg, the page."""
    vendor.install_source(machine, "vendor", key_path=f"{KEYRINGS}/vendor.gpg")
    machine.write("/run/page", PAGE)
    machine.sh(f"gpg --dearmor --yes -o {KEYRINGS}/vendor.gpg < /run/page || true")
    size = len(machine.read_bytes(f"{KEYRINGS}/vendor.gpg"))
    failed = update(machine, check=False)
    assert failed.returncode == 100
    line = one_line(failed, f"{KEYRINGS}/vendor.gpg is not kept")
    assert "it is empty" in line or size
    machine.write(f"{KEYRINGS}/vendor.gpg", PAGE)
    line = one_line(update(machine, check=False), f"{KEYRINGS}/vendor.gpg is not kept")
    assert "web page" in line
    assert "fetch the key again" in line
    # Once it's right, there's nothing to be said.
    machine.write(f"{KEYRINGS}/vendor.gpg", vendor_key.public(armored=False))
    assert said(update(machine)) == []
    assert f"{KEYRINGS}/vendor.gpg" in newest(machine)["files"]


def test_bad_keys_that_any_source_may_use(
    machine: Workstation, vendor: Repository, keys: Keys
) -> None:
    """In trusted.gpg.d: a keybox, a secret key, an empty file."""
    machine.write(f"{TRUSTED}/keybox.gpg", (keys.good.home / "pubring.kbx").read_bytes())
    machine.write(f"{TRUSTED}/secret.gpg", secret(keys.good, armored=False))
    machine.write(f"{TRUSTED}/empty.gpg", b"")
    machine.write(f"{TRUSTED}/good.asc", keys.good.public())
    machine.write(f"{SOURCES}/good.list", vendor.source_line())
    result = update(machine, check=False)
    for path, why in (
        (f"{TRUSTED}/keybox.gpg", "keybox"),
        (f"{TRUSTED}/secret.gpg", PRIVATE),
        (f"{TRUSTED}/empty.gpg", "it is empty"),
    ):
        assert why in one_line(result, f"{path} is not kept")
    assert newest(machine)["files"].keys() == {f"{TRUSTED}/good.asc", f"{SOURCES}/good.list"}
    next_boot(machine)
    update(machine)
    assert verified(machine, vendor)


def test_secret_key_in_a_source_itself_is_not_kept(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey
) -> None:
    """`Signed-By` with the wrong block pasted into it."""
    block = "".join(f" {line or '.'}\n" for line in secret(vendor_key).decode().splitlines())
    machine.write(f"{SOURCES}/pasted.sources", f"{vendor.deb822()}Signed-By:\n{block}")
    vendor.install_source(machine, "good")
    result = aptkeep(machine, "record", code=1)
    assert "secret key" in one_line(result, f"{SOURCES}/pasted.sources is not kept")
    kept = [path.read_bytes() for path in store(machine).rglob("*") if path.is_file()]
    assert not any(b"PRIVATE KEY" in content for content in kept)
    assert f"{SOURCES}/good.list" in newest(machine)["files"]


# -- sources ---------------------------------------------------------------------------------------

# Those that apt can't read: then it can do nothing at all until they're gone.
MALFORMED = {
    "no-uri.sources": b"Types: deb\nSuites: stable\nComponents: main\n",
    "no-suite.list": b"deb http://127.0.0.1:9\n",
    "no-word.list": b"debian http://127.0.0.1:9 stable main\n",
    "bracket.list": b"deb [arch=amd64 http://127.0.0.1:9 stable main\n",
    "page.list": PAGE,
    "page.sources": PAGE,
    "binary.list": bytes(range(1, 256)),
}
# Those that apt can live with.
ODD = {
    "control.list": b"# \x1b[31mred\x07 \x01\x7f\n",
    "invalid.list": b"# caf\xe9 \xff\xfe\n",
    "invalid.sources": b"# caf\xe9\nTypes: deb\nURIs: http://[::1]:9\nSuites: \xe9/\nEnabled: no\n",
    "nul.list": b"# a\0b\n",
    "empty.list": b"",
    "empty.sources": b"",
    "comment.sources": b"# nothing\n\n\n",
    "long.list": b"# " + b"x" * 100_000 + b"\n",
}


def test_odd_sources_come_back_byte_for_byte(machine: Workstation, vendor: Repository) -> None:
    vendor.install_source(machine, "good")
    for name, content in ODD.items():
        machine.write(f"{SOURCES}/{name}", content)
    first = update(machine, check=False)
    before = {name: content_and_mode(machine, f"{SOURCES}/{name}") for name in ODD}
    assert newest(machine)["files"].keys() >= {f"{SOURCES}/{name}" for name in ODD}
    back = next_boot(machine)
    after = {name: content_and_mode(machine, f"{SOURCES}/{name}") for name in ODD}
    assert after == before
    again = update(machine, check=False)
    assert (again.returncode, complaints(again)) == (first.returncode, complaints(first))
    everything = back.output + aptkeep(machine, "show").output + aptkeep(machine, "verify").output
    assert "\x1b" not in everything
    assert verified(machine, vendor)


def test_malformed_sources_cost_themselves(machine: Workstation, vendor: Repository) -> None:
    """They are kept as any other, but a start takes back what would break apt, and names it."""
    vendor.install_source(machine, "good")
    update(machine)
    install(machine, "wanted")
    for name, content in MALFORMED.items():
        machine.write(f"{SOURCES}/{name}", content)
    broken = {
        name
        for name in MALFORMED
        if machine.run("apt-get", "indextargets", *only(name), check=False).returncode
    }
    assert update(machine, check=False).returncode == 100
    aptkeep(machine, "record")
    result = next_boot(machine, code=1)
    reasons = pending(machine)
    assert reasons.keys() == {f"{SOURCES}/{name}" for name in broken}
    assert broken >= {"no-uri.sources", "no-suite.list", "no-word.list", "bracket.list"}
    for name in broken:
        assert "apt can't read it" in reasons[f"{SOURCES}/{name}"]
        assert not machine.exists(f"{SOURCES}/{name}")
    for name in MALFORMED.keys() - broken:
        assert machine.read_bytes(f"{SOURCES}/{name}") == MALFORMED[name]
    assert "\x1b" not in result.output
    assert "wanted" in installed(machine)
    assert complaints(update(machine)) == set()
    # They stay wanted: the user may mend them from the store.
    assert newest(machine)["files"].keys() >= {f"{SOURCES}/{name}" for name in MALFORMED}


def only(name: str) -> tuple[str, ...]:
    """Options with which apt reads that source alone."""
    return (
        *("-o", f"Dir::Etc::sourcelist={SOURCES}/{name}"),
        *("-o", "Dir::Etc::sourceparts=/dev/null"),
    )


UNUSUAL = {
    "link.list": f"echo '# linked' > /etc/elsewhere; ln -s /etc/elsewhere {SOURCES}/link.list",
    "dangling.list": f"ln -s /nowhere {SOURCES}/dangling.list",
    "directory.list": f"mkdir {SOURCES}/directory.list",
    "fifo.list": f"mkfifo {SOURCES}/fifo.list",
    "large.list": f"head -c 5000000 /dev/zero | tr '\\0' '#' > {SOURCES}/large.list",
}


def test_sources_that_are_no_files(machine: Workstation, vendor: Repository) -> None:
    vendor.install_source(machine, "good")
    update(machine)
    install(machine, "wanted")
    for script in UNUSUAL.values():
        machine.sh(script)
    result = aptkeep(machine, "record", code=1)
    for name in ("directory.list", "fifo.list", "large.list"):
        one_line(result, f"{SOURCES}/{name} is not kept")
    next_boot(machine)
    # A link is followed, and comes back as the file that apt read through it.
    assert machine.read_text(f"{SOURCES}/link.list") == "# linked\n"
    for name in UNUSUAL.keys() - {"link.list"}:
        assert not machine.exists(f"{SOURCES}/{name}")
    assert "wanted" in installed(machine)
    assert complaints(update(machine)) == set()


def test_five_hundred_sources(machine: Workstation, vendor: Repository) -> None:
    """How long the hook takes is for tests/bench to measure; here it has its ten seconds."""
    vendor.install_source(machine, "good")
    names = [f"vendor-{number:03}" for number in range(500)]
    for name in names:
        line = f"deb [signed-by={KEYRINGS}/good.asc] {vendor.uri}/{name} stable main\n"
        machine.write(f"{SOURCES}/{name}.list", line)
    # One is fetched, and all are recorded.
    result = machine.run("apt-get", "update", "-q", *only("good.list"))
    assert said(result) == []
    assert len(newest(machine)["files"]) == 502
    before = len(generations(machine))
    machine.run("apt-get", "update", "-q", *only("good.list"))
    assert len(generations(machine)) == before
    next_boot(machine)
    assert all(machine.exists(f"{SOURCES}/{name}.list") for name in names)
    assert f"{vendor.uri}/vendor-499 " in machine.read_text(f"{SOURCES}/vendor-499.list")
    assert troubles(start(machine)) == []
    assert aptkeep(machine, "status").stderr == ""
