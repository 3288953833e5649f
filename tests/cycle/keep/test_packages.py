"""Kept paths in which packages have files: each comes from where it belongs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycle.conftest import Prepare
from cycle.keep.paths import wanted
from cycle.keeping import aptkeep, generations, next_boot, pending, put_deb, start
from testbed import images, languages
from testbed.fixtures import MakeWorkstation
from testbed.images import Image
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

WEB = TinyPackage(
    "web",
    conffiles={
        "/etc/site/web.conf": "as shipped\n",
        "/etc/site/plain.conf": "as shipped\n",
        "/etc/site/default": "as shipped\n",
        "/etc/site/mode.conf": "as shipped\n",
    },
    files={"/opt/vendor/web/tool": "#!/bin/sh\necho 1\n", "/opt/vendor/web/data": "1\n"},
    scripts={
        "postinst": "echo made by postinst > /etc/site/made.conf\n"
        "getent passwd web > /dev/null || useradd --system --user-group web\n"
        "chown web: /opt/vendor/web/data\n",
        "postrm": 'if [ "$1" = purge ]; then rm -f /etc/site/made.conf; fi',
    },
    modes={"/opt/vendor/web/tool": 0o755},
)
CHANGED = """
apt-get install -qy web
echo as the user wants > /etc/site/web.conf
chmod 600 /etc/site/mode.conf
rm /etc/site/default
echo mine > /opt/vendor/web/mine; chown web: /opt/vendor/web/mine
aptkeep record
"""


@pytest.fixture
def with_web(prepare: Prepare) -> Workstation:
    return prepare(WEB, commands=[CHANGED])


def test_changed_conffiles_win_and_the_rest_is_the_packages(with_web: Workstation) -> None:
    machine = with_web
    kept = wanted(machine)
    assert kept.keys() == {
        *("/etc/site/web.conf", "/etc/site/mode.conf", "/etc/site/default"),
        *("/etc/site/made.conf", "/opt/vendor/web/mine"),
    }
    assert kept["/etc/site/default"] == "deleted"
    number = len(generations(machine))

    next_boot(machine)
    assert pending(machine) == {}
    assert machine.read_text("/etc/site/web.conf") == "as the user wants\n"
    assert machine.read_text("/etc/site/plain.conf") == "as shipped\n"
    assert machine.read_text("/etc/site/made.conf") == "made by postinst\n"
    assert machine.stat("/etc/site/mode.conf").st_mode & 0o777 == 0o600
    assert not machine.exists("/etc/site/default")
    assert machine.run("/opt/vendor/web/tool").stdout == "1\n"
    owners = machine.run("stat", "-c", "%U", "/opt/vendor/web/mine", "/opt/vendor/web/data")
    assert owners.stdout == "web\nweb\n", "the account came with the package"
    aptkeep(machine, "record")
    start(machine)
    assert wanted(machine) == kept
    assert len(generations(machine)) == number

    # What the user undoes is no longer wanted.
    machine.sh(
        "cd /etc/site; echo as shipped > web.conf; chmod 644 mode.conf;"
        " echo as shipped > default; rm made.conf"
    )
    aptkeep(machine, "record")
    assert wanted(machine).keys() == {"/etc/site/made.conf", "/opt/vendor/web/mine"}
    machine.run("dpkg", "--purge", "web")
    assert wanted(machine).keys() == {"/opt/vendor/web/mine"}


def test_the_packages_own_change_is_no_wish(with_web: Workstation) -> None:
    """Neither an upgrade nor a removal of the package makes wishes of its files."""
    machine = with_web
    kept = wanted(machine)
    newer = TinyPackage(
        "web",
        version="2.0",
        conffiles={"/etc/site/web.conf": "as shipped in 2\n", "/etc/site/plain.conf": "2\n"},
        files={"/opt/vendor/web/tool": "#!/bin/sh\necho 2\n", "/opt/vendor/web/new": "2\n"},
        modes={"/opt/vendor/web/tool": 0o750},
    )
    keep_mine = ("-o", "Dpkg::Options::=--force-confold")
    machine.run("apt-get", "install", "-qy", *keep_mine, put_deb(machine, newer))
    assert wanted(machine).keys() <= kept.keys()
    assert machine.read_text("/etc/site/web.conf") == "as the user wants\n"
    assert "/opt/vendor/web/tool" not in wanted(machine)


MAKEFILE = """
prefix = /usr/local
all: libhello.so hello
libhello.so: library.c
\tgcc -shared -fPIC -Wl,-soname,libhello.so.1 -o $@ $<
hello: main.c libhello.so
\tgcc -o $@ $< -L. -lhello
install: all
\tinstall -D -m 755 hello $(DESTDIR)$(prefix)/bin/hello
\tinstall -D -m 644 libhello.so $(DESTDIR)$(prefix)/lib/libhello.so.1
\tln -sf libhello.so.1 $(DESTDIR)$(prefix)/lib/libhello.so
\tinstall -D -m 644 hello.1 $(DESTDIR)$(prefix)/share/man/man1/hello.1
"""
SOURCES = {
    "Makefile": MAKEFILE,
    "library.c": 'const char *greeting(void) { return "hello from a library"; }\n',
    "main.c": "#include <stdio.h>\nconst char *greeting(void);\n"
    "int main(void) { return puts(greeting()) < 0; }\n",
    "hello.1": ".TH HELLO 1\n",
}


@pytest.fixture(scope="session")
def compiling_image(aptkeep_deb: Path) -> Image:
    """With a compiler; on trixie, where other tests need one, too."""
    image = images.without_archive(languages.with_packages(languages.r(), aptkeep_deb))
    setting = b'Aptkeep::Keep { "/usr/local"; };\n'
    return images.extend(image, "keep-local", files={"/etc/apt/apt.conf.d/90keep": setting})


def test_make_install(compiling_image: Image, make_workstation: MakeWorkstation) -> None:
    """Built and installed into /usr/local as any program is: there, and running, after a stop."""
    machine = make_workstation(compiling_image).boot()
    start(machine)
    for name, content in SOURCES.items():
        machine.write(f"/usr/src/hello/{name}", content)
    machine.sh("make install; ldconfig", cwd="/usr/src/hello")
    assert machine.run("hello").stdout == "hello from a library\n"
    aptkeep(machine, "record")
    next_boot(machine, network=False)
    machine.run("ldconfig")
    assert machine.run("hello").stdout == "hello from a library\n"
    assert machine.read_text("/usr/local/share/man/man1/hello.1") == ".TH HELLO 1\n"
    assert pending(machine) == {}
