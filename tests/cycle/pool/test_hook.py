"""Catching .deb files never costs apt or dpkg anything, and no file is missed."""

from __future__ import annotations

import time

from cycle.keeping import (
    add_source,
    aptkeep,
    installed,
    next_boot,
    said,
    start,
    wishes,
)
from cycle.pool.stock import (
    ALPHA,
    BETA,
    GAMMA,
    HOME,
    INCOMING,
    Local,
    has,
    index,
    locked,
    make_deb,
    make_debs,
    origins,
    pool,
    pooled,
    settle,
)
from testbed.fixtures import MakeWorkstation
from testbed.images import Image
from testbed.repository import Repository
from testbed.workstation import Workstation

ONE, TWO = Local("one"), Local("two")

# Each with a one.deb and a two.deb in its own empty directory.
WAYS = {
    "two files": "dpkg -i $PWD/one.deb $PWD/two.deb",
    "long option, relative paths": "dpkg --install ./one.deb two.deb",
    "unpack, then configure": "dpkg --unpack one.deb two.deb; dpkg --configure -a",
    "a directory": "dpkg -i -R .",
    "a directory with a linked one": (
        "mkdir a b; mv one.deb a; mv two.deb b; ln -s ../b a/b; dpkg --install --recursive a"
    ),
    "links": "mkdir d; ln -s ../one.deb d/1.deb; ln -s d/../two.deb 2.deb; dpkg -i d/1.deb 2.deb",
    "names without .deb": "mv one.deb download; mv two.deb 'two (1)'; dpkg -i download 'two (1)'",
    "names of any bytes": (
        "mv one.deb \"$(printf 'o\\nn\\303\\251.deb')\"; mv two.deb \"$(printf 't\\377.deb')\";"
        "dpkg -i o*.deb t*.deb"
    ),
    "apt": "apt-get install -qy $PWD/one.deb $PWD/two.deb",
    "apt, relative, deleted after it": "apt install -qy ./one.deb ./two.deb 2> out; rm *.deb",
    "as somebody else": (
        "sudo -u bench-user sh -c 'sudo dpkg -i one.deb; sudo apt-get install -y ./two.deb'"
    ),
    "on another file system": (
        "mount -t tmpfs tmpfs /mnt; mv *.deb /mnt; dpkg -i /mnt/one.deb;"
        "apt-get install -qy /mnt/two.deb; umount /mnt"
    ),
    "with an option that takes a value": "dpkg --root / -D 1 -i one.deb two.deb 2> out",
    "through a script that is gone at once": (
        "printf 'dpkg -i one.deb; dpkg -i two.deb; rm one.deb two.deb' > go; sh go"
    ),
}


def test_local_files_are_kept_however_they_came(machine: Workstation) -> None:
    noise: dict[str, list[str]] = {}
    expected: dict[str, str] = {}
    for number, (way, command) in enumerate(WAYS.items()):
        here = f"/srv/way{number}"
        one, two = (Local(f"{name}{number}", directory=here) for name in ("one", "two"))
        make_debs(machine, one, two)
        machine.sh(f"cd {here}; mv {one.path} one.deb; mv {two.path} two.deb")
        shown = machine.sh(f"cd {here}; {command}")
        if said(shown):
            noise[way] = said(shown)
        expected |= {one.name: way, two.name: way}
        # A local file is safe before dpkg or apt returns: nobody waits for anything here.
        listed = {entry["package"] for entry in index(machine)}
        assert {one.name, two.name} <= listed, way
    settle(machine)
    lost = [way for name, way in expected.items() if name not in pooled(machine)]
    assert (noise, lost) == ({}, [])
    assert set(origins(machine).values()) == {"local"}
    assert all(entry["aptkeep-from"].startswith("/") for entry in index(machine))
    assert {wish["deb"] for wish in wishes(machine).values()} == {"local"}
    next_boot(machine, network=False)
    assert expected.keys() <= installed(machine).keys()


# -- what keeps the hook from working never keeps apt from it

STORE = f"{HOME}/.local/share/aptkeep"
MODULES = "/usr/lib/python3/dist-packages"

# How each is put in the way, and taken out of it again.
OBSTACLES = {
    "the hook is gone": ("mv /usr/libexec/aptkeep /srv/l", "mv /srv/l /usr/libexec/aptkeep"),
    "python is gone": ("mv /usr/bin/python3 /srv/p", "mv /srv/p /usr/bin/python3"),
    "the modules are gone": (f"mv {MODULES}/aptkeep /srv/m", f"mv /srv/m {MODULES}/aptkeep"),
    "apt_pkg is gone": (
        f"mkdir /srv/a; mv {MODULES}/apt_pkg*.so /srv/a",
        f"mv /srv/a/* {MODULES}",
    ),
    "the state can't be written": (
        "mount --bind /var/lib/aptkeep /var/lib/aptkeep;mount -o remount,bind,ro /var/lib/aptkeep",
        "umount /var/lib/aptkeep",
    ),
    "incoming is a file": (f"rm -rf {INCOMING}; touch {INCOMING}", f"rm {INCOMING}"),
    "no room on root": (
        f"mkdir {INCOMING}; mount -t tmpfs -o size=4k,nr_inodes=1 tmpfs {INCOMING}",
        f"umount {INCOMING}",
    ),
    "the store is a file": (f"mv {STORE} /srv/s; touch {STORE}", f"rm {STORE}; mv /srv/s {STORE}"),
    "the pool is a link": (
        f"mkdir -p {STORE}/pool; mv {STORE}/pool {STORE}/p; ln -s p {STORE}/pool",
        f"rm {STORE}/pool; mv {STORE}/p {STORE}/pool",
    ),
    "an option that can't be": (
        "echo 'Aptkeep::Pool::Keep \"some\";' > /etc/apt/apt.conf.d/99x",
        "rm /etc/apt/apt.conf.d/99x",
    ),
    "aptkeep was removed": ("dpkg -r aptkeep > /run/out", ":"),
}


def test_apt_and_dpkg_go_on_whatever_is_in_the_way(
    machine: Workstation, repository: Repository
) -> None:
    """A hook says a line at most, and one at least where a local file is not kept."""
    repository.publish(ALPHA, BETA, GAMMA)
    add_source(machine, repository)
    make_debs(machine, ONE, TWO)
    wrong = {}
    for obstacle, (put, take) in OBSTACLES.items():
        machine.sh(put)
        lines = []
        for command in (
            f"apt-get install -qy alpha {TWO.path}",
            f"dpkg -i {ONE.path}",
        ):
            shown = machine.sh(command)
            allowed = 2 if obstacle == "the state can't be written" else 1
            if "Traceback" in shown.output or len(said(shown)) > allowed:
                wrong[obstacle, command] = said(shown)
            lines += said(shown)
        if not lines and obstacle in ("the store is a file", "the pool is a link"):
            wrong[obstacle, "all"] = ["(it said nothing)"]
        assert {"alpha", "beta", "one", "two"} <= installed(machine).keys()
        machine.run("dpkg", "-P", "alpha", "beta", "one", "two")
        machine.sh(take)
    assert wrong == {}, wrong


def test_image_build_catches_nothing(make_workstation: MakeWorkstation, local_image: Image) -> None:
    """Before the first start; nor does the hook mind what it is given."""
    machine = make_workstation(local_image).boot()
    make_debs(machine, ONE, TWO)
    for command in (f"dpkg -i {ONE.path}", f"apt-get install -qy {TWO.path}"):
        assert said(machine.sh(command)) == []
    assert not machine.exists(INCOMING)
    assert not machine.exists("/var/lib/aptkeep/baseline.json")
    assert not pool(machine).exists()
    start(machine)
    for given in (b"", b"VERSION 3\n", b"\xff\0\n\n/", b"\n\na 1 2 3 4 5 6 7 /etc\n" * 9):
        shown = machine.run("/usr/libexec/aptkeep/hook", "DPkg::Pre-Install-Pkgs", input=given)
        assert shown.output == ""
    assert aptkeep(machine, "record").output == "aptkeep: nothing new.\n"
    settle(machine)
    assert index(machine) == []


def test_normal_runs_say_nothing(machine: Workstation, repository: Repository) -> None:
    repository.publish(ALPHA, BETA, GAMMA)
    add_source(machine, repository)
    make_debs(machine, ONE)
    for command in (
        "apt-get install -qy alpha",
        f"dpkg -i {ONE.path}",
        "apt-get install -qy --reinstall alpha",
        "apt-get purge -qy alpha",
        "dpkg -r one",
        "apt-get autoremove -qy",
        "apt-get update -q",
    ):
        shown = machine.sh(f"{command} | cat")
        stderr = [line for line in shown.stderr.splitlines() if not line.startswith("debconf:")]
        assert stderr == [], command
    assert aptkeep(machine, "record").output == "aptkeep: nothing new.\n"


# -- files that are no good

HOSTILE = {
    "a fifo": "mkfifo d/fifo.deb",
    "a huge sparse file": "truncate -s 1T d/huge.deb",
    "a huge sparse one that begins well": "cp two.deb d/grown.deb; truncate -s 1T d/grown.deb",
    "a link to a secret": "ln -s /root/secret d/secret.deb",
    "a link to a device": "ln -s /dev/zero d/zero.deb",
    "a directory": "mkdir d/directory.deb",
    "no package": "head -c 5000 /dev/urandom > d/random.deb",
    "a cut package": "head -c 700 two.deb > d/cut.deb",
    "an empty file": ": > d/empty.deb",
}


def test_hostile_files_beside_a_good_one(machine: Workstation) -> None:
    make_debs(machine, ONE, TWO)
    machine.sh(f"echo secret > /root/secret; cd {HOME}; cp /var/tmp/*.deb .; mkdir d")
    wrong = {}
    for name, make in HOSTILE.items():
        machine.sh(f"cd {HOME}; rm -rf d/*; cp one.deb d/one.deb; {make}")
        # dpkg itself would wait for the fifo.
        started = time.monotonic()
        shown = machine.sh(f"timeout 5 dpkg -i -R {HOME}/d < /dev/null", check=False)
        if time.monotonic() - started > 7:
            wrong[name] = ["it took too long"]
        if "Traceback" in shown.stderr or "not recorded" in shown.stderr:
            wrong[name] = said(shown)
    settle(machine)
    assert wrong == {}
    # dpkg takes a package that grew for what it was; there's hardly room for such a file.
    assert wishes(machine).keys() == {"one", "two"}
    assert pooled(machine) == {"one": "1.0"}
    assert b"secret" not in b"".join(p.read_bytes() for p in pool(machine).iterdir())
    assert int(machine.sh("du -sk /var/lib/aptkeep").stdout.split()[0]) < 5000
    # The next run says nothing of it any more.
    assert said(machine.run("apt-get", "install", "-qy", TWO.path)) == []


CONTROLS = {
    "small letters": "package: odd\\nversion: 1.0\\narchitecture: all\\n",
    "no blanks": "Package:odd\\nVersion:1.0\\nArchitecture:all\\n",
    "tabs and blanks": "Package:\\t odd \\nVersion:  1.0\\t\\nArchitecture: all \\n",
    "our own fields": (
        "Package: odd\\nVersion: 1.0\\nArchitecture: all\\nAptkeep-Origin: archive\\n"
        "SHA256: 0\\n and more\\n"
    ),
}


def test_odd_but_valid_control_files(machine: Workstation) -> None:
    rest = "Maintainer: m\\nDescription: odd\\n with\\n .\\n more\\n"
    expected, noise = {"one": "1.0"}, {}
    for number, (name, control) in enumerate(CONTROLS.items()):
        text = control.replace("odd", f"odd{number}") + rest
        shown = machine.sh(
            f"mkdir -p /run/o/DEBIAN; printf '{text}' > /run/o/DEBIAN/control;"
            "dpkg-deb -Znone -b /run/o /var/tmp/odd.deb; dpkg -i /var/tmp/odd.deb"
        )
        if said(shown):
            noise[name] = said(shown)
        expected[f"odd{number}"] = "1.0"
    assert noise == {}
    make_debs(machine, ONE)
    assert said(machine.run("apt-get", "install", "-qy", ONE.path)) == []
    settle(machine)
    assert pooled(machine) == expected
    assert set(origins(machine).values()) == {"local"}
    next_boot(machine, network=False)
    assert has(machine, expected)


def test_file_that_is_swapped_while_it_is_read(machine: Workstation) -> None:
    """Whichever was read, the index tells the truth about it."""
    first, other = Local("one", content="first"), Local("one", content="other")
    machine.sh(f"{make_deb(first)}; mv {first.path} {HOME}/a.deb")
    machine.sh(f"{make_deb(other)}; mv {other.path} {HOME}/b.deb")
    machine.sh(f"cd {HOME}; cp a.deb x.deb; chown bench-user: *.deb")
    loop = f"cd {HOME}; while :; do cp a.deb y.deb; mv y.deb x.deb; cat b.deb > x.deb; done"
    swapping = machine.popen("sh", "-c", loop, user="bench-user")
    for _ in range(4):
        machine.run("dpkg", "-i", f"{HOME}/x.deb", check=False)
    swapping.kill()
    swapping.wait()
    machine.sh(f"cp {HOME}/a.deb {HOME}/x.deb; dpkg -i {HOME}/x.deb")
    settle(machine)
    assert pooled(machine) == {"one": "1.0"}
    next_boot(machine, network=False)
    assert machine.read_text("/usr/share/one") == "first\n"


def test_busy_pool_costs_no_local_file(machine: Workstation) -> None:
    """It's locked by another machine: dpkg needn't wait for long, and the file comes later."""
    make_debs(machine, ONE, TWO)
    machine.run("dpkg", "-i", ONE.path)
    settle(machine)
    with locked(machine, f"{STORE}/pool"):
        started = time.monotonic()
        shown = machine.run("dpkg", "-i", TWO.path)
        assert time.monotonic() - started < 4
        assert said(shown) == []
        assert wishes(machine).keys() == {"one", "two"}
    settle(machine)
    assert pooled(machine) == {"one": "1.0", "two": "1.0"}
