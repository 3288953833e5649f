"""What `aptkeep doctor` finds, and no longer finds when its remedy was carried out."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from cycle.conftest import SOURCE
from cycle.keeping import add_source, aptkeep, document, next_boot, put_deb, start, store
from testbed.fixtures import MakeWorkstation
from testbed.images import HOME, Image
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

APT_CONF = "/etc/apt/apt.conf.d"


def findings(machine: Workstation, *options: str, user: str | None = None) -> dict[str, Any]:
    """What is found, by kind; the exit code has to agree."""
    result = machine.run("aptkeep", "doctor", "--json", *options, check=False, user=user)
    assert result.returncode in (0, 1), result.output
    parsed = json.loads(result.stdout)
    found: dict[str, list[Any]] = {}
    for finding in parsed["findings"]:
        found.setdefault(finding["kind"], []).append(finding)
    assert result.returncode == (1 if found else 0)
    return found


def subjects(machine: Workstation, kind: str) -> list[str]:
    """Of what there are findings of a kind; there are no others."""
    found = findings(machine)
    assert set(found) <= {kind}
    return [finding["subject"] for finding in found.get(kind, [])]


def test_files_that_would_be_lost(machine: Workstation) -> None:
    assert findings(machine) == {}
    machine.sh(
        """
        mkdir -p /opt/vendor/bin /srv/www /var/lib/mine /etc/mine /usr/local/bin
        printf 12345 > /opt/vendor/bin/tool; ln -s tool /opt/vendor/bin/link
        echo x > /srv/www/index.html; echo x > /var/lib/mine/x; echo x > /etc/mine/conf
        echo x > /root/notes; echo x > /usr/bin/mine; echo x > /data
        printf x > "/usr/local/bin/two
lines"; printf x > "/usr/local/bin/$(printf '\\377')"; printf x > "/usr/local/bin/[*?]\\\\"
        useradd --create-home bob
        # What is mounted is no part of the root file system, on whatever disk it lies.
        mkdir /mnt/disk /mnt/memory; mount --bind /opt/vendor /mnt/disk
        mount -t tmpfs none /mnt/memory; touch /mnt/memory/x
        touch /etc/bound; mount --bind /srv/www/index.html /etc/bound
        # None of these is missed.
        mkdir -p /usr/local/lib/__pycache__; echo x > /usr/local/lib/__pycache__/x.pyc
        echo x > /var/cache/x; echo x > /var/log/x; echo x > /var/tmp/x
        echo x > /root/.bash_history; echo x > /etc/resolv.conf; ldconfig
        """
    )
    places = {finding["subject"]: finding for finding in findings(machine)["files"]}
    assert set(places) == {
        *("/", "/etc/mine", "/etc/passwd", "/home/bob", "/opt/vendor", "/root", "/srv/www"),
        *("/usr", "/usr/local", "/var/lib/mine"),
    }
    assert places["/opt/vendor"]["count"] == 2
    assert places["/opt/vendor"]["bytes"] == len("12345") + len("tool")
    assert places["/usr/local"]["examples"] == [
        *("/usr/local/bin/[*?]\\", "/usr/local/bin/two\nlines", "/usr/local/bin/\udcff")
    ]
    assert 'Aptkeep::Keep { "/opt/vendor"; }' in places["/opt/vendor"]["remedy"]
    assert "Keep" not in places["/etc/passwd"]["remedy"]
    text = aptkeep(machine, "doctor", code=1).stdout
    assert "  /opt/vendor: 2 files, 9 bytes\n" in text
    assert "two\\nlines" in text


def test_kept_files_are_not_lost(machine: Workstation) -> None:
    machine.write("/opt/vendor/tool", "#!/bin/sh\necho works\n", 0o755)
    (finding,) = findings(machine)["files"]
    setting = finding["remedy"].partition("'")[2].partition("'")[0]
    machine.write(f"{APT_CONF}/90keep", setting)
    (unrecorded,) = findings(machine)["unrecorded"]
    assert "/opt/vendor/tool" in unrecorded["examples"]
    aptkeep(machine, "record")
    assert findings(machine) == {}
    next_boot(machine)
    assert machine.run("/opt/vendor/tool").stdout == "works\n"
    assert findings(machine) == {}


PACKAGE = TinyPackage(
    "tool",
    files={"/usr/bin/tool": "#!/bin/sh\n", "/lib/tool/data": "data\n"},
    conffiles={"/etc/tool.conf": "as shipped\n"},
    scripts={
        "postinst": """
            mkdir -p /etc/tool.d /var/lib/tool /usr/share/tool
            echo made > /etc/tool.d/made; echo made > /var/lib/tool/made
            echo made > /usr/share/tool/made; ln -sf tool /usr/bin/tool-link
        """
    },
)


def test_files_of_packages(machine: Workstation, repository: Repository) -> None:
    """What a package brings and its scripts make comes back; what is changed after that doesn't."""
    repository.publish(PACKAGE)
    add_source(machine, repository)
    # In the local time of whoever installs it; and a script goes on at once.
    machine.sh(
        "TZ=XXX-9 apt-get install -qy tool; echo mine > /etc/mine; echo more >> /etc/tool.conf"
    )
    found = findings(machine)
    assert [finding["subject"] for finding in found.pop("conffile")] == ["/etc/tool.conf"]
    assert [finding["examples"] for finding in found.pop("files")] == [["/etc/mine"]]
    assert found == {}
    machine.sh("rm /etc/mine; echo 'as shipped' > /etc/tool.conf; sleep 1")
    machine.sh("chmod 711 /usr/bin/tool; echo more >> /lib/tool/data; rm /usr/bin/tool-link")
    assert subjects(machine, "package-file") == ["/usr"]
    machine.sh("dpkg-divert --local --rename /usr/bin/tool; echo own > /usr/bin/tool")
    found = findings(machine)
    assert [finding["examples"] for finding in found["files"]] == [["/usr/bin/tool"]]
    machine.sh("rm /usr/bin/tool; dpkg-divert --local --rename --remove /usr/bin/tool")
    machine.run("apt-get", "install", "--reinstall", "-qy", "tool")
    assert findings(machine) == {}
    next_boot(machine)
    assert machine.exists("/etc/tool.d/made")
    assert findings(machine) == {}


def test_find_runs_once(machine: Workstation) -> None:
    """However many files there are, and packages."""
    find = "/usr/bin/find"
    machine.sh(f"mkdir -p /opt/many; touch $(seq -f /opt/many/%g 500); mv {find} {find}.real")
    machine.write(find, f'#!/bin/sh\necho called >> /run/called\nexec {find}.real "$@"\n', 0o755)
    (many,) = [f for f in findings(machine)["files"] if f["subject"] == "/opt/many"]
    assert many["count"] == 500
    assert machine.read_text("/run/called") == "called\n"


def test_changes_that_are_not_recorded(machine: Workstation, repository: Repository) -> None:
    repository.publish(TinyPackage("alpha"))
    add_source(machine, repository)
    machine.run("apt-get", "install", "-qy", "alpha")
    machine.run("apt-mark", "hold", "alpha")
    assert subjects(machine, "unrecorded") == ["1 package"]
    aptkeep(machine, "record")
    assert findings(machine) == {}
    # No repository has it, and the pool is off.
    mine = put_deb(machine, TinyPackage("mine"))
    machine.run("apt-get", "install", "-qy", mine)
    (lost,) = findings(machine)["unrecorded"]
    assert lost["examples"] == ["mine"]
    assert 'Aptkeep::Pool::Keep to "local"' in lost["remedy"]
    machine.run("sed", "-i", "s/none/local/", f"{APT_CONF}/88no-pool")
    machine.run("apt-get", "install", "--reinstall", "-qy", mine)
    assert findings(machine) == {}


def test_keys(machine: Workstation, repository: Repository) -> None:
    assert repository.key is not None
    repository.publish()
    line = repository.source_line("/etc/keys/none.asc")
    machine.write(SOURCE, line)
    machine.write("/etc/keys/none.asc", "no key\n")
    found = findings(machine)
    assert [finding["subject"] for finding in found.pop("key")] == ["/etc/keys/none.asc"]
    machine.write("/etc/keys/none.asc", repository.key.public())
    aptkeep(machine, "record")
    assert findings(machine) == {}
    machine.run("rm", SOURCE, "/etc/keys/none.asc")
    aptkeep(machine, "record")

    # A key in the home serves nobody where apt can't read it.
    machine.run("chmod", "700", HOME)
    assert findings(machine) == {}
    (advice,) = document(machine, "doctor")["advice"]
    assert HOME in advice
    machine.write(f"{HOME}/vendor.asc", repository.key.public(), user=machine.user)
    machine.write(SOURCE, repository.source_line(f"{HOME}/vendor.asc"))
    aptkeep(machine, "record")
    (closed,) = findings(machine)["unreadable-home"]
    assert closed["examples"] == [f"{HOME}/vendor.asc"]
    command = closed["remedy"].partition("'")[2].rstrip("'")
    assert command == f"chmod o+x {HOME}"
    machine.sh(command)
    assert findings(machine) == {}


def test_hooks(machine: Workstation) -> None:
    def silenced(subject: str) -> list[str]:
        (finding,) = findings(machine)["hooks"]
        assert finding["subject"] == subject
        examples: list[str] = finding["examples"]
        return examples

    machine.write(f"{APT_CONF}/95vendor", "#clear DPkg::Post-Invoke;\n")
    assert silenced(f"{APT_CONF}/95vendor") == ["DPkg::Post-Invoke"]
    machine.write(f"{APT_CONF}/95vendor", 'APT { Update { Pre-Invoke { aptkeep ""; }; }; };\n')
    assert silenced(f"{APT_CONF}/95vendor") == ["APT::Update::Pre-Invoke"]
    machine.run("rm", f"{APT_CONF}/95vendor")
    aptkeep(machine, "record")
    for path, number in ((f"{APT_CONF}/80aptkeep", 7), ("/etc/dpkg/dpkg.cfg.d/aptkeep", 2)):
        machine.run("mv", path, "/run/moved")
        assert len(silenced(path)) == number
        machine.run("mv", "/run/moved", path)
    machine.sh(f"cp {APT_CONF}/80aptkeep /run/copy; echo '// mine' >> {APT_CONF}/80aptkeep")
    assert subjects(machine, "conffile") == [f"{APT_CONF}/80aptkeep"]
    machine.run("cp", "/run/copy", f"{APT_CONF}/80aptkeep")
    machine.run("chmod", "a-x", "/usr/libexec/aptkeep/hook")
    assert silenced("/usr/libexec/aptkeep/hook") == []
    machine.run("chmod", "a+x", "/usr/libexec/aptkeep/hook")
    assert findings(machine) == {}


def test_the_start(make_workstation: MakeWorkstation, local_image: Image) -> None:
    machine = make_workstation(local_image).boot()
    machine.write("/opt/tool", "x")
    found = findings(machine)
    assert set(found) == {"not-started", "files"}
    machine.run("rm", "/opt/tool")
    start(machine)
    assert findings(machine) == {}

    machine.reboot()  # the same root, and nothing ran
    assert subjects(machine, "start-up") == ["'aptkeep start'"]
    start(machine)
    assert findings(machine) == {}

    # Somebody did that, an hour later; and then sees to it.
    note = "/var/lib/aptkeep/started.json"
    text = machine.read_text(note)
    machine.write(note, text[: text.index('"after":')] + '"after":3600.0}')
    (late,) = findings(machine)["start-up"]
    assert "60 minutes" in late["meaning"]
    unit = "/etc/systemd/system/multi-user.target.wants/keep.service"
    machine.write(unit, "[Service]\nExecStart=/usr/bin/aptkeep start\n")
    assert set(findings(machine)) == {"files"}  # the unit, which the image had better have


def test_the_store_on_the_root(machine: Workstation) -> None:
    machine.run("umount", HOME)
    assert subjects(machine, "volume") == [f"{HOME}/.local/share/aptkeep"]
    machine.run("mount", "-t", "tmpfs", "none", HOME)
    (finding,) = findings(machine)["volume"]
    assert "tmpfs" in finding["meaning"]


@pytest.fixture
def recorded(machine: Workstation) -> Workstation:
    """A workstation with a generation, and a file that would be lost."""
    machine.run("apt-mark", "hold", "sudo")
    aptkeep(machine, "record")
    machine.write("/opt/tool", "x")
    return machine


def test_a_store_that_can_not_be_used(recorded: Workstation) -> None:
    """That is an error as everywhere; the rest of the report is there all the same."""
    generation = next(store(recorded).glob("generations/*.json"))
    os.chown(generation, 1000, 1000)
    result = aptkeep(recorded, "doctor", code=3)
    assert "/opt: 1 file" in result.stdout
    assert "Nothing would be lost" not in result.stdout
    assert "not trusted" in result.stderr
    found = document(recorded, "doctor", code=3)
    assert "not trusted" in found["error"]["brief"]
    assert [finding["kind"] for finding in found["findings"]] == ["files"]
    os.chown(generation, 0, 0)
    text = generation.read_text().replace('"schema": 1', '"schema": 999')
    assert "999" in text
    generation.write_text(text)
    assert "999" in aptkeep(recorded, "doctor", code=3).stderr


def test_a_full_store_is_read_all_the_same(machine: Workstation) -> None:
    machine.run("mount", "-t", "tmpfs", "-o", "size=1m", "none", HOME)
    machine.run("apt-mark", "hold", "sudo")
    assert set(findings(machine)) == {"volume", "unrecorded"}
    machine.run("dd", "if=/dev/zero", f"of={HOME}/large", "bs=1k", "count=1000")
    found = document(machine, "doctor", code=3)
    assert "no room" in found["error"]["brief"]
    assert [finding["kind"] for finding in found["findings"]] == ["volume", "unrecorded"]


def test_a_user_is_told_what_it_could_not_see(recorded: Workstation) -> None:
    machine = recorded
    machine.write("/etc/apt/auth.conf", "machine a login b password c\n", 0o600)
    aptkeep(machine, "record")
    machine.write("/root/notes", "x")
    before = _everything(machine)
    found = document(machine, "doctor", code=1)
    assert [finding["subject"] for finding in found["findings"]] == ["/opt", "/root"]
    assert found["unseen"] == []
    result = aptkeep(machine, "doctor", code=1, user=machine.user)
    assert "/opt: 1 file" in result.stdout
    assert "unrecorded" not in result.stdout
    assert "/etc/apt/auth.conf" in result.stderr
    assert "only root can look into that" in result.stderr
    unseen = json.loads(
        machine.run("aptkeep", "doctor", "--json", check=False, user=machine.user).stdout
    )["unseen"]
    assert {"/root", "/etc/apt/auth.conf"} <= set(unseen)
    assert _everything(machine) == before, "doctor changed something"


def _everything(machine: Workstation) -> str:
    """Every file of the root and of the home, with size and times."""
    skipped = "( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp )"
    script = f"find / {skipped} -prune -o ! -type d -printf '%p %s %C@\\n' | sort"
    return machine.sh(script.replace("(", "\\(").replace(")", "\\)")).stdout
