"""What is changed below the kept paths survives, whole, from root to root."""

from __future__ import annotations

from pathlib import Path

from cycle.conftest import Experienced, MakeImage
from cycle.keep.paths import bytes_of_store, look, seen, wanted
from cycle.keeping import (
    aptkeep,
    document,
    generations,
    next_boot,
    pending,
    put_deb,
    said,
    start,
    store,
)
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

USER = "bench-user"


def test_all_of_it_is_there_again(fresh: Workstation) -> None:
    number = len(generations(fresh))
    dry = aptkeep(fresh, "restore", "--dry-run")
    assert "delete /etc/site/gone/deep/x" in dry.stdout
    assert "put back /opt/vendor/new\\nline" in dry.stdout
    assert look(fresh).keys() != seen(fresh).keys()
    start(fresh)
    assert look(fresh) == seen(fresh)
    assert fresh.run("/usr/local/bin/hello").stdout == "hello\n"
    assert fresh.read_text("/etc/site/cache/of-image") == "image\n"
    assert not fresh.exists("/opt/vendor/cache")

    # Nothing is left to do, for root or for anybody, and nothing was made of it.
    before = bytes_of_store(fresh)
    for user in (None, USER):
        assert aptkeep(fresh, "status", user=user).stdout.count("unrecorded") == 0
        aptkeep(fresh, "verify", user=None)
    assert aptkeep(fresh, "record").stdout == "aptkeep: nothing new.\n"
    start(fresh)
    assert len(generations(fresh)) == number
    assert bytes_of_store(fresh) == before


def test_recorded_when_apt_ran(used: Workstation) -> None:
    before = bytes_of_store(used)
    used.write("/usr/local/bin/tool", "#!/bin/sh\n", 0o755)
    result = used.run("apt-get", "install", "-qy", put_deb(used, TinyPackage("tiny")))
    assert said(result) == []
    assert "/usr/local/bin/tool" in wanted(used)
    used.run("rm", "/usr/local/bin/tool")
    used.run("dpkg", "--purge", "tiny")
    assert "/usr/local/bin/tool" not in wanted(used)
    assert bytes_of_store(used).keys() >= before.keys()

    # With nothing changed there, apt leaves everything as it is.
    used.run("apt-get", "install", "-qy", put_deb(used, TinyPackage("tiny")))
    before, state = bytes_of_store(used), used.stat("/var/lib/aptkeep/kept.json")
    used.run("apt-get", "install", "-qy", "--reinstall", put_deb(used, TinyPackage("tiny")))
    assert bytes_of_store(used) == before
    assert used.stat("/var/lib/aptkeep/kept.json").st_mtime_ns == state.st_mtime_ns


def test_recorded_by_start_on_an_intact_root(used: Workstation) -> None:
    used.reboot()
    used.sh("echo new > /etc/site/new; rm /etc/site/changed")
    start(used)
    assert "/etc/site/new" in wanted(used)
    assert wanted(used)["/etc/site/changed"] == "deleted"
    assert used.read_text("/etc/site/new") == "new\n"


ANOTHER = """
userdel bob; groupadd --force bob; usermod --uid 3001 alice; groupmod --gid 3001 alice
echo image 2 | tee /etc/site/changed /etc/site/same /etc/site/new > /usr/local/bin/hello
rm -r /etc/site/mode /usr/local/lib/old
mkdir -p /opt/vendor/users.d; echo image 2 > /opt/vendor/users.d/x
"""


def test_another_image(fresh: Workstation, make_image: MakeImage) -> None:
    """It has accounts of other numbers, and other files."""
    image = make_image(commands=[["sh", "-ec", ANOTHER]])
    before, wishes = seen(fresh), wanted(fresh)
    next_boot(fresh, image=image, code=1)
    reasons = pending(fresh)
    assert reasons.keys() == {"/opt/vendor/private"}
    assert reasons["/opt/vendor/private"] == "this machine has no user bob, who owns it"
    after = look(fresh)
    assert after["/opt/vendor/private"][:3] == ["0o40700", "root", "root"], "closed all the same"
    of_images = {"/etc/site/same", "/usr/local/lib/old", "/usr/local/lib/old/library"}
    for path in before.keys() - of_images - reasons.keys():
        assert after[path] == before[path], path
    assert {"/etc/site/gone", "/usr/local/lib/old"}.isdisjoint(after)
    assert fresh.stat("/usr/local/bin/setuid").st_uid == 3001
    assert fresh.read_text("/etc/site/same") == "image 2\n"
    assert fresh.read_text("/etc/site/new") == "image 2\n"
    aptkeep(fresh, "record")
    assert wanted(fresh) == wishes

    fresh.run("useradd", "--uid", "3002", "--gid", "bob", "bob")
    start(fresh)
    assert look(fresh)["/opt/vendor/private"] == before["/opt/vendor/private"]
    assert wanted(fresh) == wishes


def test_going_back_and_forgetting(used: Workstation) -> None:
    before = look(used)
    number = len(generations(used))
    used.sh("echo 2 > /usr/local/bin/hello; rm /opt/vendor/users; mkdir -p /opt/vendor/n/n")
    used.sh("echo 2 > /etc/site/same; rm -r /usr/local/lib/old; echo x > /opt/vendor/n/n/x")
    aptkeep(used, "record")
    changes = {e["name"]: (e["old"], e["new"]) for e in document(used, "diff")["differences"]}
    assert changes.keys() == {
        *("/usr/local/bin/hello", "/opt/vendor/users", "/opt/vendor/n", "/opt/vendor/n/n"),
        *("/opt/vendor/n/n/x", "/etc/site/same", "/usr/local/lib/old"),
        "/usr/local/lib/old/library",
    }
    assert changes["/opt/vendor/users"][1] is None
    assert changes["/usr/local/lib/old"] == (None, "deleted")
    result = aptkeep(used, "rollback", str(number), code=1)
    assert "/etc/site/same" in result.output
    after = look(used)
    ours = {"/etc/site/same", "/usr/local/lib/old", "/usr/local/lib/old/library"}
    assert {p: s for p, s in after.items() if p not in ours} == {
        p: s for p, s in before.items() if p not in ours
    }
    next_boot(used)
    assert look(used) == before

    aptkeep(used, "forget", "/opt/vendor/users", "/usr/local/bin")
    assert used.exists("/opt/vendor/users")
    assert "/usr/local/bin/hello" not in wanted(used)
    assert "/opt/vendor/private/key" in wanted(used)
    start(used)
    assert "/usr/local/bin/hello" not in wanted(used), "what is here is not recorded anew"
    next_boot(used)
    assert not used.exists("/usr/local/bin/hello")
    assert used.exists("/opt/vendor/private/key")


def test_two_machines_with_one_home(used: Experienced, scratch: Path) -> None:
    other = Workstation(used.next_image, home=used.home, scratch=scratch / "other")
    with other.boot():
        start(other)
        other.write("/usr/local/bin/of-other", "x")
        aptkeep(other, "record")
        used.write("/usr/local/bin/of-used", "x")
        used.run("rm", "/opt/vendor/users")
        aptkeep(used, "record")
        names = {path for path in wanted(used) if path.startswith("/usr/local/bin/of-")}
        assert names == {"/usr/local/bin/of-other", "/usr/local/bin/of-used"}
        start(other)
        assert other.exists("/usr/local/bin/of-used")
        start(used)
        assert used.exists("/usr/local/bin/of-other")
        assert "/opt/vendor/users" not in wanted(used)


SETTING = "/etc/apt/apt.conf.d/90keep"


def test_a_list_that_comes_later_and_goes_again(fresh: Experienced, make_image: MakeImage) -> None:
    """It is in a file that aptkeep keeps itself: the next image lacks it at first."""
    fresh.stop()
    fresh.next_image = make_image(commands=[["rm", SETTING]])
    (store(fresh) / "generations").rename(fresh.home / "aside")
    next_boot(fresh, image=fresh.next_image)
    fresh.write("/usr/local/bin/early", "1", 0o755)
    fresh.write("/opt/vendor/late", "1")
    aptkeep(fresh, "record")
    assert generations(fresh) == []
    fresh.write(SETTING, 'Aptkeep::Keep { "/usr/local"; "/opt/vendor"; };\n')
    assert "/usr/local/bin/early" in aptkeep(fresh, "status").stdout
    aptkeep(fresh, "record")
    assert {"/usr/local/bin/early", "/opt/vendor/late"} <= wanted(fresh).keys()
    assert not any(path.startswith("/usr/local/lib") for path in wanted(fresh))
    wishes, number = wanted(fresh), len(generations(fresh))

    next_boot(fresh)
    assert fresh.exists(SETTING)
    assert fresh.read_text("/usr/local/bin/early") == "1"
    aptkeep(fresh, "record")
    start(fresh)
    assert wanted(fresh) == wishes
    assert len(generations(fresh)) == number
    fresh.write("/usr/local/bin/third", "1")
    aptkeep(fresh, "record")
    assert wanted(fresh).keys() == {*wishes, "/usr/local/bin/third"}

    fresh.run("rm", SETTING, "/usr/local/bin/third")
    fresh.write("/usr/local/bin/more", "1")
    aptkeep(fresh, "record")
    assert wanted(fresh).keys() == {*wishes, "/usr/local/bin/third"}
    assert "/usr/local/bin/more" not in aptkeep(fresh, "status", code=1).stdout
