"""The package among others: installed, upgraded, failed, removed and purged."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycle.home.living import DEB, install, login, state
from testbed import commands, images, packages
from testbed.fixtures import MakeWorkstation
from testbed.images import HOME, USER
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

BASHRC = "/etc/bash.bashrc"
BASHS_OWN = f"{BASHRC}.distrib"
OURS = f"{HOME}/.local/bin"
R_PROFILE = "/usr/lib/R/etc/Rprofile.site"


@pytest.fixture
def machine(make_workstation: MakeWorkstation, suite: str) -> Workstation:
    """Nothing but the suite's own files, aptkeep-home not yet among them."""
    return make_workstation(images.base(suite)).boot()


@pytest.fixture
def repack(aptkeep_home_deb: Path, tmp_path: Path) -> Path:
    """A newer version of aptkeep-home, with the same content."""
    tree = tmp_path / "tree"
    commands.run("dpkg-deb", "--raw-extract", aptkeep_home_deb, tree)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace("Version: ", "Version: 1000+"))
    built = tmp_path / "newer.deb"
    commands.run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, built)
    return built


def bash_says(machine: Workstation, question: str = "echo $PATH") -> str:
    """What an interactive bash that isn't a login shell says."""
    return machine.run_tty("bash", "-ic", question, user=USER).stdout


def put(machine: Workstation, package: TinyPackage, directory: Path) -> str:
    """The path of a package's .deb on the machine."""
    at = f"/root/{package.file_name}"
    machine.copy_in(packages.build(package, directory), at)
    return at


def test_what_dpkg_says_is_no_more_than_of_any_other(
    machine: Workstation, aptkeep_home_deb: Path
) -> None:
    """No question, no warning; once more over itself, the same."""
    for expected in (4, 3):  # "Selecting previously unselected", the first time
        done = install(machine, aptkeep_home_deb)
        assert done.stderr == ""
        said = [line for line in done.lines if not line.startswith("(Reading")]
        assert len(said) == expected
    removed = machine.run("dpkg", "--purge", "aptkeep-home")
    assert removed.stderr == ""


def test_installed_purged_nothing_is_left(machine: Workstation, aptkeep_home_deb: Path) -> None:
    before, modified = state(machine), machine.stat(BASHRC).st_mtime_ns
    install(machine, aptkeep_home_deb)
    assert OURS in bash_says(machine)
    install(machine, aptkeep_home_deb)
    machine.run("dpkg", "--remove", "aptkeep-home")
    assert OURS not in bash_says(machine)
    assert OURS not in login(machine, "echo $PATH").stdout
    install(machine, aptkeep_home_deb)
    assert OURS in bash_says(machine)
    machine.run("dpkg", "--purge", "aptkeep-home")
    assert state(machine) == before
    assert machine.stat(BASHRC).st_mtime_ns == modified


def test_files_that_the_image_has_already_stay(
    machine: Workstation, aptkeep_home_deb: Path
) -> None:
    own = {
        "/etc/npmrc": "registry=https://npm.example.org\n",
        "/etc/xdg/pip/pip.conf": "[global]\n",
    }
    for path, text in own.items():
        machine.write(path, text)
    before = state(machine)
    done = install(machine, aptkeep_home_deb)
    for path, text in own.items():
        assert f"aptkeep-home: {path} is there already and stays as it is" in done.stderr
        assert machine.read_text(path) == text
    machine.run("dpkg", "--purge", "aptkeep-home")
    assert state(machine) == before


def test_what_was_removed_or_changed_stays_so(
    machine: Workstation, aptkeep_home_deb: Path, repack: Path
) -> None:
    install(machine, aptkeep_home_deb)
    machine.run("rm", "/etc/npmrc", "/etc/conda/condarc.d/aptkeep-home.yml")
    machine.sh("echo APTKEEP_HOME_PATH=no > /etc/default/aptkeep-home")
    machine.sh("echo '[install]' > /etc/xdg/pip/pip.conf")
    before = state(machine)
    install(machine, repack)
    assert state(machine) == before
    assert OURS not in bash_says(machine)
    assert machine.read_text("/etc/xdg/pip/pip.conf") == "[install]\n"
    machine.run("dpkg", "--remove", "aptkeep-home")
    assert not machine.exists("/etc/xdg/pip/pip.conf")


@pytest.mark.parametrize("ending", ["--remove", "--purge"])
def test_what_was_written_through_the_links_is_not_lost(
    machine: Workstation, aptkeep_home_deb: Path, repack: Path, ending: str
) -> None:
    """It went to aptkeep-home's conffile, which a purge deletes and a removal makes unreachable."""
    install(machine, aptkeep_home_deb)
    machine.sh("echo registry=https://npm.example.org >> /etc/npmrc")
    install(machine, repack)
    removed = machine.run("dpkg", ending, "aptkeep-home")
    assert "kept as /etc/npmrc.aptkeep-home" in removed.stderr
    assert "registry=" in machine.read_text("/etc/npmrc.aptkeep-home")
    assert not machine.exists("/etc/npmrc")
    assert "pip.conf" not in removed.stderr


def test_what_stands_in_the_place_of_the_links_stays_and_is_named(
    machine: Workstation, aptkeep_home_deb: Path
) -> None:
    """A copy of ours says what ours said: npm would look for a directory that's gone."""
    install(machine, aptkeep_home_deb)
    machine.sh("sed -i 's/^;.*//' /etc/npmrc; sed -i 's/^#.*//' /etc/xdg/pip/pip.conf")
    texts = [machine.read_text(path) for path in ("/etc/npmrc", "/etc/xdg/pip/pip.conf")]
    removed = machine.run("dpkg", "--purge", "aptkeep-home")
    assert "/etc/npmrc names /usr/share/aptkeep-home" in removed.stderr
    assert [machine.read_text(path) for path in ("/etc/npmrc", "/etc/xdg/pip/pip.conf")] == texts


class TestBashrc:
    def test_what_the_image_wrote_before_holds_all_along(
        self, machine: Workstation, aptkeep_home_deb: Path
    ) -> None:
        machine.sh(f"echo 'export IMAGE=before PATH=/opt/image:$PATH' >> {BASHRC}")
        before = machine.read_text(BASHRC)
        install(machine, aptkeep_home_deb)
        path, image = bash_says(machine, "echo $PATH; echo $IMAGE").split()
        assert image == "before"
        assert path.startswith(f"{OURS}:")
        assert "/opt/image:" in path
        machine.run("dpkg", "--purge", "aptkeep-home")
        assert machine.read_text(BASHRC) == before

    @pytest.mark.parametrize("how", ["echo IMAGE=after >> {}", "sed -i '1i IMAGE=after' {}"])
    def test_what_the_image_writes_afterwards_holds_and_is_not_lost(
        self, machine: Workstation, aptkeep_home_deb: Path, how: str
    ) -> None:
        before = machine.read_text(BASHRC)
        install(machine, aptkeep_home_deb)
        machine.sh(how.format(BASHRC))
        assert bash_says(machine, "echo $IMAGE").strip() == "after"
        removed = machine.run("dpkg", "--purge", "aptkeep-home")
        assert f"kept as {BASHRC}.aptkeep-home" in removed.stderr
        assert "IMAGE=after" in machine.read_text(f"{BASHRC}.aptkeep-home")
        assert machine.read_text(BASHRC) == before

    @pytest.mark.parametrize(
        "how",
        [
            "echo IMAGE=after >> {}",
            "sed -i '1i IMAGE=after' {}",
            "cp {} /tmp/copy; rm {}; echo IMAGE=after >> /tmp/copy; cp /tmp/copy {}",
            "rm {}",
            "ln -sf /opt/nowhere {}",
        ],
    )
    def test_changed_or_removed_it_stays_so_at_upgrades(
        self, machine: Workstation, aptkeep_home_deb: Path, repack: Path, how: str
    ) -> None:
        install(machine, aptkeep_home_deb)
        machine.sh(how.replace("{}", BASHRC))
        before = state(machine)
        for newer in (aptkeep_home_deb, repack):
            install(machine, newer)
            assert state(machine) == before

    @pytest.mark.parametrize(
        ("how", "own_is_back"),
        [
            (f"rm {BASHRC}", True),
            (f"ln -sf /opt/nowhere {BASHRC}", True),
            (f"rm {BASHRC}; mkdir {BASHRC}", True),
            (f"rm {BASHS_OWN}", False),
            (f"rm {BASHRC} {BASHS_OWN}", False),
            (f"chmod 444 {BASHRC} {BASHS_OWN}", True),
            ("rm -rf /etc/aptkeep-home /etc/xdg /etc/npmrc /etc/conda /etc/profile.d", True),
            ("rm -r /usr/share/aptkeep-home", True),
        ],
    )
    def test_whatever_was_deleted_it_can_be_removed_and_come_back(
        self, machine: Workstation, aptkeep_home_deb: Path, how: str, *, own_is_back: bool
    ) -> None:
        own = machine.read_text(BASHRC)
        for ending in ("--remove", "--purge"):
            install(machine, aptkeep_home_deb)
            assert OURS in bash_says(machine)
            machine.sh(how)
            machine.run("dpkg", ending, "aptkeep-home")
            assert machine.exists(BASHRC) == own_is_back
            assert not machine.exists(BASHS_OWN)
            machine.write(BASHRC, own)
        assert "aptkeep-home" not in machine.run("dpkg-divert", "--list").stdout

    def test_what_was_changed_is_kept_each_time(
        self, machine: Workstation, aptkeep_home_deb: Path
    ) -> None:
        for number in "12":
            install(machine, aptkeep_home_deb)
            machine.sh(f"echo 'IMAGE={number}' >> {BASHRC}")
            machine.run("dpkg", "--remove", "aptkeep-home")
        assert "IMAGE=2" in machine.read_text(f"{BASHRC}.aptkeep-home")
        assert "IMAGE=1" in machine.read_text(f"{BASHRC}.aptkeep-home.~1~")

    def test_changed_with_nothing_to_put_back_it_stays_and_works(
        self, machine: Workstation, aptkeep_home_deb: Path
    ) -> None:
        install(machine, aptkeep_home_deb)
        machine.sh(f"rm {BASHS_OWN}; echo IMAGE=after >> {BASHRC}")
        machine.run("dpkg", "--purge", "aptkeep-home")
        assert bash_says(machine, "echo $IMAGE").strip() == "after"
        # It names the other file: there once more, it would read itself without end.
        install(machine, aptkeep_home_deb)
        assert bash_says(machine, "echo $IMAGE $PATH").startswith(f"after {OURS}:")

    def test_where_the_image_has_none_there_is_none_afterwards(
        self, machine: Workstation, aptkeep_home_deb: Path
    ) -> None:
        machine.run("rm", BASHRC)
        before = state(machine)
        install(machine, aptkeep_home_deb)
        assert OURS in bash_says(machine)
        machine.run("dpkg", "--purge", "aptkeep-home")
        assert state(machine) == before

    def test_where_the_image_has_a_link_the_link_is_back_afterwards(
        self, machine: Workstation, aptkeep_home_deb: Path
    ) -> None:
        machine.sh(f"mv {BASHRC} /opt/shell; ln -s ../opt/shell {BASHRC}")
        before = state(machine)
        install(machine, aptkeep_home_deb)
        assert OURS in bash_says(machine)
        machine.run("dpkg", "--purge", "aptkeep-home")
        assert state(machine) == before

    @pytest.mark.parametrize("how", ["echo mine > {}", "cp {0} {}", "ln -s /opt/nowhere {}"])
    def test_somebodys_file_at_the_other_name_is_not_overwritten(
        self, machine: Workstation, aptkeep_home_deb: Path, how: str
    ) -> None:
        machine.sh(how.replace("{0}", BASHRC).replace("{}", BASHS_OWN))
        before = state(machine)
        machine.copy_in(aptkeep_home_deb, DEB)
        failed = machine.run("dpkg", "-i", DEB, check=False)
        assert f"aptkeep-home: {BASHS_OWN} is there already" in failed.stderr
        assert state(machine) == before
        assert machine.run("dpkg", "--audit").stdout == ""
        machine.run("rm", BASHS_OWN)
        install(machine, aptkeep_home_deb)
        assert OURS in bash_says(machine)

    def test_what_is_written_between_unpacking_and_configuring_holds(
        self, machine: Workstation, aptkeep_home_deb: Path
    ) -> None:
        machine.copy_in(aptkeep_home_deb, DEB)
        machine.run("dpkg", "--unpack", DEB)
        machine.sh(f"echo IMAGE=between >> {BASHRC}")
        machine.run("dpkg", "--configure", "-a")
        assert bash_says(machine, "echo $IMAGE").strip() == "between"
        assert OURS in bash_says(machine)

    def test_what_is_written_where_it_belongs_outlives_it(
        self, machine: Workstation, aptkeep_home_deb: Path
    ) -> None:
        install(machine, aptkeep_home_deb)
        machine.sh(f"echo IMAGE=own >> {BASHS_OWN}")
        assert bash_says(machine, "echo $IMAGE").strip() == "own"
        machine.run("dpkg", "--purge", "aptkeep-home")
        assert bash_says(machine, "echo $IMAGE").strip() == "own"

    def test_an_upgrade_of_bash_reaches_its_own_file(
        self, machine: Workstation, aptkeep_home_deb: Path, tmp_path: Path
    ) -> None:
        """A package of that name with another conffile; that it lacks the program matters not."""
        install(machine, aptkeep_home_deb)
        version = machine.run("dpkg-query", "-Wf", "${Version}", "bash").stdout
        newer = TinyPackage("bash", f"{version}+later", conffiles={BASHRC: "IMAGE=later\n"})
        at = put(machine, newer, tmp_path)
        machine.run("dpkg", "--force-depends", "-i", at, input="")
        assert machine.read_text(BASHS_OWN) == "IMAGE=later\n"
        assert machine.read_text(BASHRC) != "IMAGE=later\n"
        machine.run("dpkg", "--purge", "aptkeep-home")
        assert machine.read_text(BASHRC) == "IMAGE=later\n"


class TestFailure:
    """dpkg undoes an installation that fails while files are unpacked, and calls abort-install."""

    # Comes with the same file, which dpkg doesn't let two packages have.
    RIVAL = TinyPackage("rival", files={"/usr/share/aptkeep-home/config.site": "mine\n"})

    def test_failed_installation_leaves_all_as_it_was(
        self, machine: Workstation, aptkeep_home_deb: Path, tmp_path: Path
    ) -> None:
        machine.run("dpkg", "-i", put(machine, self.RIVAL, tmp_path))
        before = state(machine)
        machine.copy_in(aptkeep_home_deb, DEB)
        failed = machine.run("dpkg", "-i", DEB, check=False)
        assert "trying to overwrite" in failed.stderr
        assert state(machine) == before
        machine.run("dpkg", "--purge", "rival")
        install(machine, aptkeep_home_deb)
        assert OURS in bash_says(machine)

    @pytest.mark.parametrize("path", [BASHRC, R_PROFILE])
    def test_where_somebody_else_diverts_a_file_it_is_not_installed(
        self, machine: Workstation, aptkeep_home_deb: Path, path: str
    ) -> None:
        machine.sh(f"dpkg-divert --quiet --local --add --no-rename {path}")
        before = state(machine)
        machine.copy_in(aptkeep_home_deb, DEB)
        failed = machine.run("dpkg", "-i", DEB, check=False)
        assert "clashes with" in failed.stderr
        assert state(machine) == before
        assert machine.run("dpkg", "--audit").stdout == ""
        machine.sh(f"dpkg-divert --quiet --remove --no-rename {path}")
        install(machine, aptkeep_home_deb)
        assert OURS in bash_says(machine)

    def test_somebodys_file_at_the_other_name_of_r_is_not_moved(
        self, machine: Workstation, aptkeep_home_deb: Path
    ) -> None:
        machine.write(f"{R_PROFILE}.distrib", "mine\n")
        before = state(machine)
        machine.copy_in(aptkeep_home_deb, DEB)
        failed = machine.run("dpkg", "-i", DEB, check=False)
        assert f"aptkeep-home: {R_PROFILE}.distrib is there already" in failed.stderr
        assert state(machine) == before

    @pytest.mark.parametrize("moment", ["--add --no-rename", "--add --rename"])
    def test_killed_while_it_makes_way_it_is_whole_after_the_next_attempt(
        self, machine: Workstation, aptkeep_home_deb: Path, moment: str
    ) -> None:
        """dpkg calls the next attempt an upgrade."""
        before = state(machine)
        killer = "/usr/local/sbin/dpkg-divert"
        machine.write(
            killer,
            "#!/bin/sh\n"
            '/usr/bin/dpkg-divert "$@" || exit\n'
            f"case $* in *'{moment}'*) ;; *) exit ;; esac\n"
            "kill -9 $(sed -n 's/^PPid://p' /proc/$PPID/status) $PPID\n",
        )
        machine.run("chmod", "+x", killer)
        machine.copy_in(aptkeep_home_deb, DEB)
        machine.run("dpkg", "-i", DEB, check=False)
        assert machine.run("dpkg", "--audit").stdout
        machine.run("rm", killer)
        install(machine, aptkeep_home_deb)
        assert OURS in bash_says(machine)
        machine.run("dpkg", "--purge", "aptkeep-home")
        assert state(machine) == before

    def test_failed_upgrade_leaves_all_in_force(
        self, machine: Workstation, aptkeep_home_deb: Path, repack: Path, tmp_path: Path
    ) -> None:
        install(machine, aptkeep_home_deb)
        before = state(machine)
        # A file that only the newer version has, and that is somebody else's.
        tree = tmp_path / "tree"
        (tree / "usr/share/aptkeep-home/zz").write_text("new\n")
        commands.run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, repack)
        rival = TinyPackage("rival", files={"/usr/share/aptkeep-home/zz": "mine\n"})
        machine.run("dpkg", "-i", put(machine, rival, tmp_path))
        machine.copy_in(repack, DEB)
        failed = machine.run("dpkg", "-i", DEB, check=False)
        assert "trying to overwrite" in failed.stderr
        machine.run("dpkg", "--purge", "rival")
        assert state(machine) == before
        assert OURS in bash_says(machine)

    def test_installation_that_fails_at_its_end_is_finished_later(
        self, machine: Workstation, aptkeep_home_deb: Path
    ) -> None:
        before = state(machine)
        # The postinst can't make its link where there's no directory.
        machine.copy_in(aptkeep_home_deb, DEB)
        machine.run("dpkg", "--unpack", DEB)
        machine.run("rmdir", "/etc/xdg/pip")
        machine.write("/etc/xdg/pip", "in the way\n")
        assert machine.run("dpkg", "--configure", "-a", check=False).returncode != 0
        assert OURS in bash_says(machine)
        machine.run("rm", "/etc/xdg/pip")
        machine.run("mkdir", "/etc/xdg/pip")
        machine.run("dpkg", "--configure", "-a")
        assert machine.exists("/etc/npmrc")
        machine.run("dpkg", "--purge", "aptkeep-home")
        assert state(machine) == before


def test_r_that_comes_later_finds_its_profile_beside_ours(
    machine: Workstation, aptkeep_home_deb: Path, tmp_path: Path
) -> None:
    """With the file of a package that is called as R's: what dpkg does doesn't depend on R."""
    r = TinyPackage("r-base-core", files={R_PROFILE: "## R's\n"})
    at = put(machine, r, tmp_path)
    install(machine, aptkeep_home_deb)
    machine.run("dpkg", "-i", at)
    assert machine.read_text(f"{R_PROFILE}.distrib") == "## R's\n"
    assert "aptkeep-home" in machine.read_text(R_PROFILE)
    machine.run("dpkg", "--purge", "aptkeep-home")
    assert machine.read_text(R_PROFILE) == "## R's\n"
    assert not machine.exists(f"{R_PROFILE}.distrib")
