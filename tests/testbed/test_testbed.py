"""The testbed keeps its own promises: real roots, real apt, nothing left behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from testbed import commands, files, images, packages, source
from testbed.commands import CommandFailed, CommandTimedOut
from testbed.fixtures import MakeRepository, MakeWorkstation
from testbed.images import Image
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.root import BootFailed, NotBooted
from testbed.snapshots import Snapshots
from testbed.workstation import Workstation

pytestmark = pytest.mark.machine

FOO = TinyPackage(
    "foo",
    depends="bar",
    files={"/usr/share/foo/greeting": "hello\n"},
    conffiles={"/etc/foo.conf": "colour=blue\n"},
    scripts={"postinst": 'echo "configured foo"'},
)
BAR = TinyPackage("bar", architecture="amd64")


@pytest.fixture(scope="session")
def local_image(base_image: Image) -> Image:
    """Minbase that knows no repository but those of the tests."""
    return images.without_archive(base_image)


@pytest.fixture
def machine(make_workstation: MakeWorkstation, local_image: Image) -> Workstation:
    """A booted workstation without aptkeep."""
    return make_workstation(local_image).boot()


def mount_table() -> str:
    return Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def gone(pids: list[int], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class TestBoot:
    def test_is_quick(self, make_workstation: MakeWorkstation, local_image: Image) -> None:
        made = make_workstation(local_image)
        started = time.monotonic()
        made.boot()
        assert time.monotonic() - started < 0.2

    def test_is_private(self, make_workstation: MakeWorkstation, local_image: Image) -> None:
        before = mount_table()
        made = make_workstation(local_image).boot()
        assert mount_table() == before
        points = [line.split()[4] for line in made.run("cat", "/proc/self/mountinfo").lines]
        assert points[0] == "/"
        allowed = ("/dev", "/proc", "/run", "/sys", "/tmp", made.user_home)  # noqa: S108
        assert [point for point in points[1:] if not point.startswith(allowed)] == []
        made.stop()
        assert mount_table() == before

    def test_home_is_a_mount_of_its_own(self, machine: Workstation) -> None:
        points = [line.split()[4] for line in machine.run("cat", "/proc/self/mountinfo").lines]
        assert points.count("/home/bench-user") == 1
        assert machine.stat("/home/bench-user").st_uid == 1000

    def test_has_devices_of_its_own(self, machine: Workstation) -> None:
        machine.sh("rm /dev/null /dev/zero; echo full > /dev/null; ls /dev/pts/ptmx /dev/shm")
        assert Path("/dev/null").is_char_device()
        assert machine.read_text("/dev/null") == "full\n"

    def test_root_directory_is_open_to_all(self, machine: Workstation) -> None:
        assert machine.stat("/").st_mode & 0o777 == 0o755
        assert machine.run("cat", "/etc/hostname", user="bench-user").stdout == "workstation\n"

    def test_setup_runs_at_boot(
        self, make_workstation: MakeWorkstation, local_image: Image
    ) -> None:
        made = make_workstation(local_image).boot(setup=[["touch", "/srv/a"]])
        assert made.exists("/srv/a")

    def test_failure_says_what(self, make_workstation: MakeWorkstation, tmp_path: Path) -> None:
        with pytest.raises(BootFailed, match="No such file or directory"):
            make_workstation(Image("none", (tmp_path / "missing",))).boot()

    def test_two_at_once_do_not_meet(
        self, make_workstation: MakeWorkstation, local_image: Image
    ) -> None:
        one, other = (make_workstation(local_image).boot() for _ in range(2))
        one.write("/srv/mine", "1")
        assert not other.exists("/srv/mine")
        other.stop()
        assert one.read_text("/srv/mine") == "1"


class TestStop:
    def test_root_forgets_and_home_stays(self, machine: Workstation) -> None:
        machine.write("/srv/root", "gone")
        machine.write("/home/bench-user/a/note", "kept", user="bench-user")
        machine.stop()
        assert not machine.booted
        machine.boot()
        assert not machine.exists("/srv/root")
        assert machine.run("cat", "a/note", cwd="/home/bench-user").stdout == "kept"
        assert machine.run("stat", "-c", "%U", "/home/bench-user/a").stdout == "bench-user\n"
        assert (machine.home / "a/note").read_text() == "kept"

    def test_reboot_keeps_the_root(self, machine: Workstation) -> None:
        machine.sh("echo kept > /srv/root; rm /etc/hosts; echo gone > /run/it")
        machine.reboot()
        assert machine.read_text("/srv/root") == "kept\n"
        assert not machine.exists("/etc/hosts")
        assert not machine.exists("/run/it")

    def test_kills_everything(self, machine: Workstation) -> None:
        process = machine.popen("sleep", "1000")
        machine.sh("setsid sleep 1000 > /dev/null 2>&1 &")
        pids = machine.pids()
        assert len(pids) == 3
        machine.kill()
        assert gone(pids)
        assert process.wait(timeout=5) == -signal.SIGKILL
        with pytest.raises(NotBooted):
            machine.run("true")

    def test_leaves_only_the_home(self, local_image: Image, scratch: Path) -> None:
        with Workstation(local_image, scratch=scratch) as made:
            made.boot().write("/srv/a", "1")
        assert [path.name for path in scratch.iterdir()] == ["home"]

    def test_dies_with_the_test_process(self, local_image: Image, scratch: Path) -> None:
        script = (
            "import sys; from pathlib import Path\n"
            "from testbed.images import Image; from testbed.workstation import Workstation\n"
            "image = Image(sys.argv[1], tuple(map(Path, sys.argv[3:])))\n"
            "machine = Workstation(image, scratch=Path(sys.argv[2])).boot()\n"
            "inside = machine.popen('sleep', '1000'); inside.inner_pid\n"
            "print(*machine.pids(), flush=True); input()\n"
        )
        here = str(Path(__file__).parent.parent)
        process = commands.start(
            *(sys.executable, "-c", script, local_image.suite, str(scratch)),
            *local_image.layers,
            env=commands.environment({"PYTHONPATH": here}),
            stderr=commands.DEVNULL,
        )
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 2
        process.kill()
        process.communicate()
        assert gone(pids)


class TestNetwork:
    def connect(self, machine: Workstation, address: str) -> str:
        return machine.run("bash", "-c", f"echo > /dev/tcp/{address}", check=False).stderr

    def test_without(self, make_workstation: MakeWorkstation, local_image: Image) -> None:
        made = make_workstation(local_image).boot(network=False)
        devices = made.run("cat", "/proc/net/dev").lines[2:]
        assert [line.split(":")[0].strip() for line in devices] == ["lo"]
        # 192.0.2.1 is nobody's (RFC 5737). With loopback down, 127.0.0.1 would be unreachable.
        assert "Network is unreachable" in self.connect(made, "192.0.2.1/80")
        assert "Connection refused" in self.connect(made, "127.0.0.1/9")

    def test_with(self, machine: Workstation, repository: Repository) -> None:
        assert self.connect(machine, f"{repository.address}/{repository.port}") == ""


class TestRun:
    def test_environment_is_clean(
        self, machine: Workstation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LEAKED", "1")
        lines = machine.run("env", env={"GIVEN": "2"}).lines
        names = {line.split("=")[0] for line in lines}
        assert "GIVEN=2" in lines
        assert names == {
            *("PATH", "LC_ALL", "TERM", "HOME", "USER", "LOGNAME", "DEBIAN_FRONTEND", "GIVEN")
        }

    def test_user(self, machine: Workstation) -> None:
        result = machine.sh("id -un; echo $HOME; sudo id -un", user="bench-user")
        assert result.lines == ["bench-user", "/home/bench-user", "root"]
        assert result.stderr == ""

    def test_input_and_failure(self, machine: Workstation) -> None:
        assert machine.run("cat", input="to cat").stdout == "to cat"
        with pytest.raises(CommandFailed) as caught:
            machine.sh("echo heard; echo seen >&2; exit 3")
        assert caught.value.result.returncode == 3
        for part in ("sh -ec", "exit code 3", "stdout: heard", "stderr: seen"):
            assert part in str(caught.value)
        assert "nsenter" not in str(caught.value)
        assert machine.run("false", check=False).returncode == 1

    def test_timeout(self, machine: Workstation) -> None:
        with pytest.raises(CommandTimedOut, match=r"killed after 0\.2 s"):
            machine.run("sleep", "1000", timeout=0.2)
        with pytest.raises(CommandTimedOut):
            machine.run_tty("sleep", "1000", timeout=0.2)
        assert gone(machine.pids()[1:])

    def test_terminal(self, machine: Workstation) -> None:
        script = "test -t 0 -a -t 1 -a -t 2; stty size; read word; echo got $word > /dev/tty"
        result = machine.run_tty("sh", "-ec", script, input="it\n", rows=30, columns=100)
        assert "30 100\r\n" in result.stdout
        assert result.stdout.endswith("got it\r\n")

    def test_signals_reach_the_command(self, machine: Workstation) -> None:
        script = "trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.01; done"
        process = machine.popen("sh", "-c", script)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        stdout, _ = process.communicate(timeout=5)
        assert (stdout, process.returncode) == (b"caught\n", 7)

    def test_orphans_are_reaped(self, machine: Workstation) -> None:
        machine.sh("(sleep 0.05 &) > /dev/null 2>&1")
        assert gone(machine.pids()[1:])


class TestFiles:
    def test_absolute_symlinks_stay_inside(self, machine: Workstation, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("of this machine")
        machine.sh(f"ln -s {secret} /srv/out; ln -s {tmp_path} /srv/away; ln -s /etc /srv/etc")
        assert not machine.exists("/srv/out")
        with pytest.raises(FileNotFoundError):
            machine.read_text("/srv/out")
        with pytest.raises(FileNotFoundError):
            machine.read_text("/srv/away/../../../../../../.." + str(secret))
        assert machine.read_text("/srv/etc/hostname") == "workstation\n"
        machine.write("/srv/etc/new", "inside")
        assert machine.run("cat", "/etc/new").stdout == "inside"
        assert secret.read_text() == "of this machine"

    def test_write_and_copy(self, machine: Workstation, tmp_path: Path) -> None:
        machine.write("/srv/a/b", b"\0\xff", mode=0o600)
        assert machine.read_bytes("/srv/a/b") == b"\0\xff"
        assert machine.run("stat", "-c", "%a %U", "/srv/a/b").stdout == "600 root\n"
        (tmp_path / "tree/sub").mkdir(parents=True)
        (tmp_path / "tree/sub/run").write_text("#!/bin/sh\necho ran\n")
        (tmp_path / "tree/sub/run").chmod(0o755)
        machine.copy_in(tmp_path / "tree", "/opt/tree", user="bench-user")
        assert machine.run("/opt/tree/sub/run", user="bench-user").stdout == "ran\n"

    @pytest.mark.usefixtures("able")
    def test_removal_refuses_mounts(self, tmp_path: Path) -> None:
        (tmp_path / "tree/a b").mkdir(parents=True)
        script = (
            "import sys; from pathlib import Path; from testbed import files, kernel\n"
            "kernel.mount('tmpfs', sys.argv[1] + '/a b', 'tmpfs')\n"
            "files.remove_tree(Path(sys.argv[1]))\n"
        )
        result = commands.run(
            *("unshare", "--mount", "--propagation", "private", "--"),
            *(sys.executable, "-c", script, tmp_path / "tree"),
            check=False,
            env=commands.environment({"PYTHONPATH": str(Path(__file__).parent.parent)}),
        )
        assert "not removed, because it holds mounts" in result.stderr
        assert (tmp_path / "tree/a b").is_dir()
        files.remove_tree(tmp_path / "tree")
        assert not (tmp_path / "tree").exists()


class TestImages:
    def test_base_is_like_an_image(self, machine: Workstation, suite: str) -> None:
        for emptied in ("/var/lib/apt/lists", "/var/cache/apt", machine.user_home):
            assert machine.run("find", emptied, "-type", "f").lines == []
        # sid calls itself by the name of the release that it will become.
        release = machine.read_text("/etc/os-release")
        assert f"VERSION_CODENAME={suite}" in release or suite == "sid"
        assert machine.run("/usr/sbin/policy-rc.d", check=False).returncode == 101

    def test_layers_are_cached(self, local_image: Image) -> None:
        command = [["sh", "-c", "cat /srv/given > /srv/made"]]
        first = images.extend(local_image, "test", command, files={"/srv/given": b"1"})
        started = time.monotonic()
        assert images.extend(local_image, "test", command, files={"/srv/given": b"1"}) == first
        assert time.monotonic() - started < 0.05
        assert images.extend(local_image, "test", command, files={"/srv/given": b"2"}) != first
        assert (first.layers[0] / "srv/made").read_text() == "1"

    def test_layer_without_cache(
        self, local_image: Image, make_workstation: MakeWorkstation, tmp_path: Path, scratch: Path
    ) -> None:
        (tmp_path / "tool").write_text("#!/bin/sh\necho tool\n")
        (tmp_path / "tool").chmod(0o755)
        image = images.extend(
            local_image,
            "mine",
            [["rm", "/etc/hosts"]],
            files={"/usr/bin/tool": tmp_path / "tool"},
            cache=False,
            directory=scratch / "layers",
        )
        made = make_workstation(image).boot()
        assert made.run("tool").stdout == "tool\n"
        assert not made.exists("/etc/hosts")

    def test_failed_layer_is_not_kept(self, local_image: Image) -> None:
        for _ in range(2):
            with pytest.raises(CommandFailed, match="no such luck"):
                images.extend(local_image, "bad", [["sh", "-c", "echo no such luck; exit 1"]])


class TestPackages:
    def test_equal_packages_are_equal_files(self, tmp_path: Path) -> None:
        first, second = (packages.build(FOO, tmp_path / name) for name in "ab")
        assert first.read_bytes() == second.read_bytes()
        assert FOO.digest != FOO.at("2.0").digest

    def test_what_dpkg_sees(self, tmp_path: Path) -> None:
        package = TinyPackage(
            "baz",
            "1:2-3",
            recommends="foo",
            fields={"Multi-Arch": "foreign"},
            essential=True,
            conffiles={"etc/baz": "x"},
            files={"/usr/bin/baz": "#!/bin/sh\n"},
            modes={"/usr/bin/baz": 0o755},
            scripts={"templates": "Template: baz/q\n"},
        )
        deb = packages.build(package, tmp_path)
        assert deb.name == "baz_2-3_all.deb"
        fields = commands.run("dpkg-deb", "--field", deb).lines
        for line in ("Version: 1:2-3", "Essential: yes", "Multi-Arch: foreign", "Recommends: foo"):
            assert line in fields
        listing = commands.run("dpkg-deb", "--contents", deb).lines
        assert any(line.startswith("-rwxr-xr-x root/root") for line in listing)
        assert not any("tiny-" in line for line in listing)
        assert commands.run("dpkg-deb", "--info", deb, "conffiles").stdout == "/etc/baz\n"


class TestRepository:
    @pytest.mark.parametrize("style", ["list", "deb822"])
    def test_update_and_install(
        self, machine: Workstation, repository: Repository, style: str
    ) -> None:
        repository.publish(FOO, BAR, TinyPackage("other", architecture="i386"))
        if style == "list":
            path = repository.install_source(machine, "local")
            assert "signed-by=/etc/apt/keyrings/local.asc" in machine.read_text(path)
        else:
            key_path = "/usr/share/keyrings/local.gpg"
            repository.install_source(machine, "local", style="deb822", key_path=key_path)
        machine.run("apt-get", "update", "--error-on=any")
        result = machine.run("sudo", "apt-get", "install", "-qy", "foo", user="bench-user")
        assert "configured foo" in result.lines
        assert machine.read_text("/usr/share/foo/greeting") == "hello\n"
        assert "/pool/main/foo_1.0_all.deb" in repository.requests
        assert repository.bytes_served > 0
        repository.publish(FOO.at("2.0"), BAR)
        machine.run("apt-get", "update", "--error-on=any")
        assert "Candidate: 2.0" in machine.run("apt-cache", "policy", "foo").stdout

    def test_embedded_key(self, machine: Workstation, repository: Repository) -> None:
        entry = repository.deb822("embedded")
        machine.write("/etc/apt/sources.list.d/local.sources", entry)
        machine.run("apt-get", "update", "--error-on=any")

    def test_foreign_architecture(self, machine: Workstation, repository: Repository) -> None:
        repository.publish(TinyPackage("other", architecture="i386"))
        repository.install_source(machine, "local")
        machine.run("dpkg", "--add-architecture", "i386")
        machine.run("apt-get", "update", "--error-on=any")
        assert machine.run("apt-get", "install", "-qy", "other:i386").returncode == 0

    def test_wrong_key(
        self, machine: Workstation, make_repository: MakeRepository, tmp_path: Path
    ) -> None:
        repository = make_repository(key=SigningKey.generate(tmp_path))
        repository.publish(BAR)
        repository.install_source(machine, "local")
        repository.key = SigningKey.generate(tmp_path)
        repository.publish(BAR)
        result = machine.run("apt-get", "update", check=False)
        assert result.returncode == 100
        assert "is not signed" in result.output

    def test_expired_key(
        self, machine: Workstation, make_repository: MakeRepository, tmp_path: Path, suite: str
    ) -> None:
        key = SigningKey.generate(tmp_path, expires="1y", clock="20200101T000000")
        repository = make_repository(key=key)
        repository.publish(BAR)
        repository.install_source(machine, "local")
        result = machine.run("apt-get", "update", check=False)
        # gpgv asks whether the key is valid today, sqv whether it was when it signed.
        assert result.returncode == (100 if suite == "bookworm" else 0)
        assert ("EXPKEYSIG" in result.output) == (suite == "bookworm")

    def test_unsigned(self, machine: Workstation, make_repository: MakeRepository) -> None:
        repository = make_repository(key=None)
        repository.publish(BAR)
        repository.install_source(machine, "local")
        machine.run("apt-get", "update")
        machine.run("apt-get", "install", "-qy", "bar")

    def test_down_refuses_connections(self, machine: Workstation, repository: Repository) -> None:
        repository.install_source(machine, "local")
        update = ("apt-get", "update", "--error-on=any")
        for _ in range(2):
            repository.down()
            result = machine.run(*update, check=False)
            assert result.returncode == 100
            assert "Connection refused" in result.output
            repository.up()
            machine.run(*update)

    def test_failures_and_delay(self, machine: Workstation, repository: Repository) -> None:
        repository.install_source(machine, "local")
        repository.failures["/InRelease"] = 503
        result = machine.run("apt-get", "update", "--error-on=any", check=False)
        assert "503" in result.output
        repository.failures.clear()
        repository.delay = 0.2
        started = time.monotonic()
        machine.run("apt-get", "update", "--error-on=any")
        assert time.monotonic() - started > 0.2

    def test_serves_nothing_else(self, repository: Repository) -> None:
        url = f"{repository.uri}/../../../../../../etc/passwd"
        helper = commands.run(
            *("/usr/lib/apt/apt-helper", "-oAcquire::Retries=0", "download-file", url, "/dev/null"),
            check=False,
        )
        assert helper.returncode != 0


class TestSnapshots:
    OLD, NEW = "20261101T000000Z", "20261102T000000Z"

    @pytest.fixture
    def moved_on(
        self, machine: Workstation, repository: Repository, snapshots: Snapshots
    ) -> Snapshots:
        repository.publish(BAR)
        snapshots.keep(repository, self.OLD)
        repository.publish(BAR.at("2.0"))
        snapshots.keep(repository, self.NEW)
        named = f'Acquire::Snapshots::URI::Host::{repository.address} "{snapshots.template}";\n'
        machine.write("/etc/apt/apt.conf.d/50snapshots", named)
        repository.install_source(machine, "local")
        return snapshots

    @pytest.mark.parametrize(
        ("identifier", "version"),
        [(OLD, "1.0"), ("20261101T120000Z", "1.0"), (NEW, "2.0"), ("20270101T000000Z", "2.0")],
    )
    def test_state_of_that_time(
        self,
        machine: Workstation,
        moved_on: Snapshots,
        suite: str,
        identifier: str,
        version: str,
    ) -> None:
        option = f"-oAPT::Snapshot={identifier}"
        machine.run("apt-get", "update", "-q", "--error-on=any", option)
        machine.run("apt-get", "install", "-qy", option, "bar")
        installed = machine.run("dpkg-query", "-W", "-f", "${Version}", "bar").stdout
        knows = suite != "bookworm"
        assert moved_on.asked == ({identifier} if knows else set())
        assert installed == (version if knows else "2.0")

    def test_nothing_before_the_first(
        self, machine: Workstation, moved_on: Snapshots, suite: str
    ) -> None:
        update = machine.run("apt-get", "update", "-oAPT::Snapshot=2025", check=False)
        assert ("404" in update.output) is (suite != "bookworm")


class TestSource:
    @pytest.mark.usefixtures("able")
    def test_builds_what_git_would_see(self, tmp_path: Path) -> None:
        tree = tmp_path / "tree"
        (tree / "debian/source").mkdir(parents=True)
        (tree / "debian/source/format").write_text("3.0 (native)\n")
        (tree / "debian/changelog").write_text(
            "aptkeep (0.0.1) unstable; urgency=medium\n\n  * One.\n\n"
            " -- Testbed <testbed@example.invalid>  Mon, 06 Jan 2025 00:00:00 +0000\n"
        )
        (tree / "debian/control").write_text(
            "Source: aptkeep\nMaintainer: Testbed <testbed@example.invalid>\n"
            "Build-Depends: debhelper-compat (= 13)\nStandards-Version: 4.6.2\n\n"
            "Package: aptkeep\nArchitecture: all\nDescription: not the real one\n"
        )
        (tree / "debian/rules").write_text("#!/usr/bin/make -f\n%:\n\tdh $@\n")
        (tree / "debian/rules").chmod(0o755)
        (tree / "debian/install").write_text("here usr/share/aptkeep\n")
        (tree / "here").write_text(f"{os.getpid()}")  # never cached by an earlier run
        (tree / ".gitignore").write_text("ignored\n")
        (tree / "ignored").write_text("")
        commands.run("git", "init", "-q", tree)
        first = source.build_deb(tree, tmp_path / "first")
        assert first.name == "aptkeep_0.0.1_all.deb"
        assert not (tmp_path / "first/aptkeep/ignored").exists()
        started = time.monotonic()
        second = source.build_deb(tree, tmp_path / "second")
        assert time.monotonic() - started < 1
        assert second.read_bytes() == first.read_bytes()
