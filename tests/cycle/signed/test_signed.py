"""`Aptkeep::Trust "signed"`: nothing that the user's own account could write is believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cycle.keeping import installed, put_deb, store
from cycle.signed.conftest import KEY, SQUASHED, squashed
from testbed.fixtures import only_on
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

pytestmark = only_on("bookworm")  # the attacks on a signed store are tried on trixie

TOOL = TinyPackage("tool", "1.0", files={"usr/share/tool": "genuine\n"})
EVIL = TinyPackage("tool", "1.0", files={"usr/share/tool": "planted\n"})


def used(machine: Workstation) -> Workstation:
    """A local package was installed, and a program written to /usr/local."""
    squashed(machine, "apt-get", "install", "-qy", put_deb(machine, TOOL))
    machine.write("/usr/local/bin/script", b"echo genuine\n", mode=0o755)
    squashed(machine, "aptkeep", "record")
    return machine


def reboot(machine: Workstation, *, code: int = 0) -> str:
    """Start on a fresh root; what was said."""
    machine.stop()
    machine.boot(network=False)
    return squashed(machine, "aptkeep", "start", code=code).output


def test_a_whole_life_where_root_owns_nothing(machine: Workstation) -> None:
    refused = machine.run(*SQUASHED, "ls", "/home/bench-user", check=False)
    assert "Permission denied" in refused.output, "the stand-in squashes nobody"
    used(machine)
    owners = {path.stat().st_uid for path in machine.home.rglob("*")}
    assert owners == {1000}
    reboot(machine)
    assert installed(machine)["tool"] == "1.0"
    assert machine.run("sh", "/usr/local/bin/script").stdout == "genuine\n"
    for command in ("status", "verify", "gc", "history", "show"):
        squashed(machine, "aptkeep", command)
    assert "tool" in machine.run("aptkeep", "show", user=machine.user).stdout
    squashed(machine, "aptkeep", "rollback", "1")
    assert not machine.exists("/usr/local/bin/script")
    assert installed(machine)["tool"] == "1.0"


# -- what a process of the user's may try --------------------------------------------------------


def forged(home: Path) -> None:
    """A newer generation that wants more, whole but for its signature."""
    place = home / ".local/share/aptkeep/generations"
    document = json.loads((place / "000002.json").read_text(encoding="utf-8"))
    document["generation"] = 3
    document["packages"]["evil"] = {"selection": "install", "version": "1", "auto": False}
    _write_whole(place / "000003.json", document)


def unsigned(home: Path) -> None:
    place = home / ".local/share/aptkeep/generations"
    document = json.loads((place / "000002.json").read_text(encoding="utf-8"))
    document["generation"] = 3
    del document["signature"]
    _write_whole(place / "000003.json", document)


def renumbered(home: Path) -> None:
    """An older genuine one as the newest."""
    place = home / ".local/share/aptkeep/generations"
    document = json.loads((place / "000001.json").read_text(encoding="utf-8"))
    document["generation"] = 3
    _write_whole(place / "000003.json", document)


def _write_whole(path: Path, document: dict[str, object]) -> None:
    document.pop("checksum", None)
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    document["checksum"] = "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
    path.write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize("attack", [forged, unsigned, renumbered])
def test_a_generation_that_nobody_signed_is_refused(
    machine: Workstation, attack: Callable[[Path], None]
) -> None:
    attack(used(machine).home)
    said = reboot(machine, code=3)
    assert "is not trusted" in said
    assert "tool" not in installed(machine), "nothing was applied"
    (store(machine) / "generations/000003.json").unlink()
    squashed(machine, "aptkeep", "start")
    assert "tool" in installed(machine), "and nothing was lost"


def test_a_swapped_deb_is_not_installed(machine: Workstation) -> None:
    """Neither under its own name, nor with an index that describes it rightly."""
    used(machine)
    pool = store(machine) / "pool"
    (genuine,) = pool.glob("tool_*.deb")
    content = machine.read_bytes(put_deb(machine, EVIL))
    genuine.write_bytes(content)
    reboot(machine, code=1)
    assert "tool" not in installed(machine)
    index = pool / "Packages"
    lines = index.read_text(encoding="utf-8").splitlines()
    sha256 = hashlib.sha256(content).hexdigest()
    swapped = {"SHA256": sha256, "Size": str(len(content)), "Filename": f"./t.{sha256[:12]}.deb"}
    text = [
        f"{name}: {swapped[name]}" if (name := line.partition(":")[0]) in swapped else line
        for line in lines
        if not line.startswith(("Aptkeep-Checksum", "Aptkeep-Signature")) and line
    ]
    signature = next(line for line in lines if line.startswith("Aptkeep-Signature"))
    checksum = hashlib.sha256("\n".join(text).encode()).hexdigest()
    index.write_text(
        "\n".join([*text, f"Aptkeep-Checksum: {checksum}", signature, ""]), encoding="utf-8"
    )
    (pool / f"t.{sha256[:12]}.deb").write_bytes(content)
    reboot(machine, code=1)
    assert "tool" not in installed(machine)


@dataclass(frozen=True)
class Damage:
    pattern: str
    said: str


@pytest.mark.parametrize(
    "damage", [Damage("files/*", "kept copy"), Damage("trees/*", "listing")], ids=["file", "tree"]
)
def test_a_changed_file_is_not_put_back(machine: Workstation, damage: Damage) -> None:
    used(machine)
    (found,) = store(machine).glob(damage.pattern)
    found.write_bytes(b"echo planted\n")
    said = reboot(machine, code=1)
    assert damage.said in said
    assert not machine.exists("/usr/local/bin/script")
    assert "tool" in installed(machine), "it costs only itself"


def test_another_users_genuine_store_is_refused(machine: Workstation) -> None:
    used(machine)
    said = squashed(
        machine, "aptkeep", "-o", "Aptkeep::Trust::Identity=bob", "restore", code=3
    ).output
    assert "in the home of bob" in said


def test_keys_are_rotated(machine: Workstation) -> None:
    """The new key signs while the old one is accepted; then the old one may go."""
    used(machine)
    squashed(machine, "aptkeep", "keygen", "/etc/new.key")
    new = ("-o", "Aptkeep::Trust::Key=/etc/new.key")
    squashed(machine, "aptkeep", *new, "status", code=3)
    both = (*new, "-o", f"Aptkeep::Trust::Public-Keys::={KEY}.pub")
    squashed(machine, "aptkeep", *both, "sign")
    squashed(machine, "aptkeep", *new, "status")
    found = json.loads(squashed(machine, "aptkeep", *new, "status", "--json").stdout)
    assert found["pool"]["debs"] == 1
    squashed(machine, "aptkeep", "status", code=3)


def test_a_store_of_roots_is_adopted(machine: Workstation) -> None:
    """On a volume where root does own files, from one kind of trust to the other."""
    machine.write("/etc/apt/apt.conf.d/91root", b'Aptkeep::Trust "root";\n')
    machine.run("apt-get", "install", "-qy", put_deb(machine, TOOL))
    machine.run("aptkeep", "record")
    machine.run("rm", "/etc/apt/apt.conf.d/91root")
    assert "not signed" in machine.run("aptkeep", "status", check=False).output
    assert machine.run("aptkeep", "sign", "--adopt").returncode == 0
    machine.stop()
    machine.boot(network=False)
    machine.run("aptkeep", "start")
    assert installed(machine)["tool"] == "1.0"
