"""Pins, credentials and settings of apt: they come back, and what is secret stays so."""

from __future__ import annotations

import json
import stat

import pytest

from cycle.conftest import MakeImage
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
from cycle.sources.vendor import below, complaints, contents, troubles, update
from testbed.fixtures import MakeRepository, MakeWorkstation
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

ETC = "/etc/apt"
PASSWORD = "correct-horse-battery"  # noqa: S105 - of nobody
TOKEN = "s3cr3t-token-of-mine"  # noqa: S105


def login(repository: Repository, password: str = PASSWORD) -> str:
    return f"machine {repository.uri} login me password {password}\n"


def test_pins_settings_and_proxies_come_back(
    machine: Workstation, make_repository: MakeRepository
) -> None:
    old, new = make_repository("old"), make_repository("new")
    old.publish(TinyPackage("tool", "1.0"))
    new.publish(TinyPackage("tool", "2.0"), TinyPackage("other"))
    written = {
        f"{ETC}/preferences": ("Package: other\nPin: release n=new\nPin-Priority: 600\n", 0o644),
        f"{ETC}/preferences.d/tool.pref": (
            "Package: tool\nPin: release n=old\nPin-Priority: 900\n",
            0o640,
        ),
        f"{ETC}/preferences.d/none": ("# caf\xe9\n", 0o664),
        f"{ETC}/apt.conf": ('// mine\nAPT::Get::Show-Versions "true";\n', 0o644),
        f"{ETC}/apt.conf.d/90proxy": (
            (
                f'Acquire::http::Proxy "http://{old.address}:1";\n'
                f'Acquire::http::Proxy::{old.address} "DIRECT";\n'
                f'Acquire::http::Proxy::{new.address} "DIRECT";\n'
            ),
            0o644,
        ),
        f"{ETC}/apt.conf.d/99local.conf": ('APT::Install-Recommends "false";\n', 0o604),
        f"{ETC}/apt.conf.d/99left.bak": ("apt doesn't read it\n", 0o644),
    }
    for path, (content, mode) in written.items():
        machine.write(path, content.encode("latin-1"), mode)
    for name, repository in (("old", old), ("new", new)):
        repository.install_source(machine, name)
    first = update(machine)
    install(machine, "tool", "other")
    assert installed(machine)["tool"] == "1.0"
    left = f"{ETC}/apt.conf.d/99left.bak"
    wanted = [path for path in written if path != left]
    assert newest(machine)["files"].keys() >= set(wanted)
    assert left not in newest(machine)["files"]
    before = contents(machine, wanted)

    back = next_boot(machine)
    assert troubles(back) == []
    assert contents(machine, wanted) == before
    assert not machine.exists(left)
    assert complaints(update(machine)) == complaints(first)
    dump = machine.run("apt-config", "dump").stdout
    assert f'Acquire::http::Proxy "http://{old.address}:1";' in dump
    assert 'APT::Install-Recommends "false";' in dump
    policy = machine.run("apt-cache", "policy", "tool").stdout
    assert "Candidate: 1.0" in policy
    # Deleted, they stay away.
    machine.run("rm", *wanted)
    update(machine)
    next_boot(machine)
    assert not any(machine.exists(path) for path in wanted)


def test_what_packages_ship_is_theirs(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    """An apt.conf.d file of a package comes with the package, as the package has it by then."""
    conf = f"{ETC}/apt.conf.d/20vendor"
    by_image = f"{ETC}/apt.conf.d/20image"
    image = make_image(TinyPackage("of-image", conffiles={by_image: 'Vendor::Image "1";\n'}))
    repository.publish(TinyPackage("helper", conffiles={conf: 'Vendor::Helper "1";\n'}))
    machine = make_workstation(image).boot()
    start(machine)
    repository.install_source(machine, "vendor")
    machine.write(f"{ETC}/apt.conf.d/20mine", 'Mine "1";\n')
    update(machine)
    install(machine, "helper")
    files = newest(machine)["files"]
    assert f"{ETC}/apt.conf.d/20mine" in files
    assert conf not in files
    assert by_image not in files
    repository.publish(TinyPackage("helper", conffiles={conf: 'Vendor::Helper "2";\n'}))
    next_boot(machine)
    assert machine.read_text(conf) == 'Vendor::Helper "2";\n'
    assert machine.read_text(f"{ETC}/apt.conf.d/20mine") == 'Mine "1";\n'
    assert pending(machine) == {}


@pytest.mark.parametrize(
    ("path", "mode"),
    [(f"{ETC}/auth.conf", 0o600), (f"{ETC}/auth.conf.d/vendor.conf", 0o644)],
    ids=["auth.conf", "auth.conf.d"],
)
def test_credentials_come_back_and_are_never_shown(
    machine: Workstation, repository: Repository, path: str, mode: int
) -> None:
    """Nowhere but in the file of the store that root alone can read, and where apt reads them."""
    repository.publish(TinyPackage("alpha"))
    machine.write(path, login(repository), mode)
    repository.install_source(machine, "vendor")
    first = update(machine)
    install(machine, "alpha")
    machine.write(path, login(repository, TOKEN), mode)
    update(machine)
    kept = newest(machine)["files"][path]
    copy = store(machine) / "files" / kept["sha256"]
    assert TOKEN in copy.read_text()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert copy.stat().st_uid == 0
    assert not any(
        stat.S_IMODE(found.stat().st_mode) & 0o077
        for found in (store(machine) / "files").iterdir()
        if b"password" in found.read_bytes()
    )
    before = contents(machine, [path])

    printed = [first.output, next_boot(machine).output]
    assert contents(machine, [path]) == before
    last = str(len(generations(machine)))
    for command in (
        *(("status",), ("show",), ("history",), ("verify",), ("diff", "1", last)),
        *(("restore", "--dry-run"), ("record",)),
    ):
        printed += [aptkeep(machine, *command, *more).output for more in ((), ("--json",))]
    # The copy altered, and the file that it should be there: messages name, and never quote.
    copy.write_text(f"{TOKEN} garbled")
    machine.run("rm", path)
    machine.stop()
    printed.append(next_boot(machine, code=1).output)
    printed.append(aptkeep(machine, "verify", code=3).output)
    assert path in printed[-1]
    printed.append((store(machine) / "log").read_text())
    printed += [json.dumps(generation) for generation in generations(machine)]
    for text in printed:
        assert PASSWORD not in text
        assert TOKEN not in text
    assert "alpha" in installed(machine)


def test_credentials_in_a_source_are_not_shown(
    machine: Workstation, repository: Repository
) -> None:
    """`https://user:password@host` is apt's way of old. The file itself comes back as it was."""
    with_login = repository.source_line(options="trusted=yes").replace(
        "http://", f"http://me:{PASSWORD}@"
    )
    machine.write(f"{ETC}/sources.list.d/vendor.list", with_login, 0o600)
    update(machine, check=False)
    aptkeep(machine, "record")
    printed = [next_boot(machine).output]
    assert machine.read_text(f"{ETC}/sources.list.d/vendor.list") == with_login
    for command in ("status", "show", "verify", "history"):
        printed += [aptkeep(machine, command, *more).output for more in ((), ("--json",))]
    printed.append((store(machine) / "log").read_text())
    for text in printed:
        assert PASSWORD not in text
    # As private in the store as it was.
    kept = [p for p in (store(machine) / "files").iterdir() if PASSWORD in p.read_text()]
    assert [stat.S_IMODE(p.stat().st_mode) for p in kept] == [0o600]


def test_bad_settings_cost_themselves(machine: Workstation, repository: Repository) -> None:
    """What apt can't parse is not put back, and the reason is told; all else comes back."""
    repository.publish(TinyPackage("alpha"))
    repository.install_source(machine, "vendor")
    machine.write(f"{ETC}/apt.conf.d/10good", 'Mine "1";\n')
    machine.write(f"{ETC}/preferences.d/good", "Package: x\nPin: release n=x\nPin-Priority: 1\n")
    update(machine)
    install(machine, "alpha")
    machine.write(f"{ETC}/preferences.d/bad", "Package: x\nPin: nonsense\n")
    machine.write(f"{ETC}/auth.conf.d/odd.conf", b"\xff\xfe machine\n", 0o600)
    aptkeep(machine, "record")
    bad_runs = machine.run("apt-get", "check", check=False).returncode != 0
    result = machine.run("aptkeep", "status", check=False)
    assert "Traceback" not in result.output
    machine.stop()
    machine.boot()
    result = start(machine, code=1 if bad_runs else 0)
    assert "Traceback" not in result.output
    assert "alpha" in installed(machine)
    assert machine.read_text(f"{ETC}/apt.conf.d/10good") == 'Mine "1";\n'
    assert machine.exists(f"{ETC}/preferences.d/good")
    if bad_runs:
        assert pending(machine).keys() == {f"{ETC}/preferences.d/bad"}
        assert not machine.exists(f"{ETC}/preferences.d/bad")
    assert said(update(machine)) == []
    assert below(store(machine) / "files").count(b"nonsense") == 1
