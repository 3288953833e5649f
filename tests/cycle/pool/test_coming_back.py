"""What is in the pool comes back without a network; only what isn't is fetched."""

from __future__ import annotations

from cycle.conftest import Prepare
from cycle.keeping import (
    aptkeep,
    document,
    generations,
    install,
    installed,
    marked_automatic,
    next_boot,
    pending,
    start,
    update,
    wishes,
)
from cycle.pool.stock import (
    ALPHA,
    BETA,
    GAMMA,
    PLAIN,
    SETTLE,
    STOCK,
    Local,
    downloads,
    file_of,
    has,
    make_deb,
    make_debs,
    origins,
    pooled,
    same_files,
    settle,
)
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

LISTS = "find /var/lib/apt/lists /var/cache/apt -type f ! -name lock -exec sha256sum {} + | sort"
UPDATE_HOOK = 'APT::Update::Pre-Invoke { "touch /run/updated"; };\n'
LOCALLY = "from a local file"
MOVED_ON = (ALPHA.at("2.0"), BETA.at("2.0"), GAMMA.at("2.0"))


def test_all_comes_back_without_a_network_and_without_an_update(
    stocked: Workstation, repository: Repository
) -> None:
    """Byte for byte, with its marks, and apt's own files are as they were."""
    assert pooled(stocked) == STOCK
    local = {"local": "local", "plain": "local"}
    assert origins(stocked) == {name: local.get(name, "archive") for name in STOCK}
    assert {n: wish["deb"] for n, wish in wishes(stocked).items() if "deb" in wish} == local
    stocked.stop()
    repository.requests.clear()
    stocked.boot(network=False)
    stocked.write("/etc/apt/apt.conf.d/90updated", UPDATE_HOOK)
    before = stocked.sh(LISTS).stdout
    result = start(stocked)
    assert "note" not in result.stderr
    assert has(stocked, STOCK)
    assert same_files(stocked)
    assert marked_automatic(stocked) & STOCK.keys() == {"beta", "gamma"}
    assert pending(stocked) == {}
    assert not stocked.exists("/run/updated")
    assert stocked.sh(LISTS).stdout == before
    assert stocked.sh("ls -d /var/lib/aptkeep/staged*", check=False).stdout == ""
    assert stocked.run("apt-get", "check").returncode == 0
    settle(stocked)
    assert pooled(stocked) == STOCK
    again = start(stocked)
    assert again.output == ""

    # With a network, nobody is asked either.
    next_boot(stocked)
    assert has(stocked, STOCK)
    assert repository.requests == []


def test_only_what_is_missing_is_fetched(stocked: Workstation, repository: Repository) -> None:
    file_of(stocked, "beta").unlink()
    repository.requests.clear()
    start(stocked)
    assert downloads(repository) == ["beta_1.0_all.deb"]
    assert has(stocked, STOCK)
    assert same_files(stocked)
    # apt's own files are as an update leaves them.
    assert "staged" not in stocked.sh("ls -R /var/lib/apt /var/cache/apt /var/lib/aptkeep").stdout
    fetched = stocked.sh("cd /var/lib/apt/lists; ls | grep -v auxfiles").stdout
    update(stocked)
    assert stocked.sh("cd /var/lib/apt/lists; ls | grep -v auxfiles").stdout == fetched
    # What was fetched is pooled again: the next start needs nobody.
    settle(stocked)
    assert pooled(stocked) == STOCK
    next_boot(stocked, network=False)
    assert has(stocked, STOCK)


def test_offline_never_touches_the_network(stocked: Workstation, repository: Repository) -> None:
    """What isn't on the machine is pending, and so is what needs it, until the next start."""
    file_of(stocked, "gamma").unlink()
    repository.requests.clear()
    start(stocked, "--offline", code=1)
    assert repository.requests == []
    assert installed(stocked).keys() & STOCK.keys() == {"alpha", "beta", "plain"}
    waiting = pending(stocked)
    assert waiting.keys() == {"gamma", "local"}
    assert "--offline" in waiting["gamma"]
    assert "gamma" in waiting["local"]
    aptkeep(stocked, "restore", "--offline", code=1)
    assert repository.requests == []
    start(stocked)
    assert has(stocked, STOCK)
    assert downloads(repository) == ["gamma_1.0_all.deb"]


def test_pins_are_about_repositories(stocked: Workstation) -> None:
    """What the pool has was chosen already; neither dpkg nor apt asked pins for local files."""
    stocked.stop()
    stocked.boot(network=False)
    pins = 'Package: *\nPin: origin ""\nPin-Priority: -1\n'
    stocked.write("/etc/apt/preferences.d/strict", pins)
    start(stocked)
    assert has(stocked, STOCK)


# -- versions


def test_recorded_versions_though_the_repository_has_moved_on(
    stocked: Workstation, repository: Repository
) -> None:
    """The pool has them. What it lost, and nobody offers any more, is the candidate."""
    repository.publish(*MOVED_ON)
    start(stocked)
    assert has(stocked, STOCK)
    assert same_files(stocked)
    stocked.stop()
    file_of(stocked, "beta").unlink()
    stocked.boot()
    result = start(stocked)
    assert has(stocked, {**STOCK, "beta": "2.0"})
    (note,) = [line for line in result.stderr.splitlines() if line.startswith("aptkeep: note:")]
    assert note == (
        "aptkeep: note: beta: it comes in version 2.0: "
        "1.0, which was recorded, is not offered any more"
    )
    assert pending(stocked) == {}


def test_latest_versions(stocked: Workstation, repository: Repository) -> None:
    """The repository's, where it answers; else the newest that the pool has."""
    repository.publish(*MOVED_ON)
    latest = "Aptkeep::Restore::Versions=latest"
    start(stocked, "-o", latest)
    new = {**STOCK, "alpha": "2.0", "beta": "2.0", "gamma": "2.0"}
    assert has(stocked, new)
    settle(stocked)
    next_boot(stocked)
    assert has(stocked, STOCK)  # it was no wish
    stocked.stop()
    stocked.boot(network=False)
    aptkeep(stocked, "restore", "--offline", "--versions", "latest")
    assert has(stocked, new)


def test_odd_versions_and_other_architectures(prepare: Prepare, repository: Repository) -> None:
    odd = {"epoch": "1:2.0~rc1+dfsg-1~deb12u1", "tilde": "2~~a", "foreign": "3:1.0-1"}
    foreign = TinyPackage("foreign", odd["foreign"], architecture="i386")
    same = TinyPackage("same", "1:1.0", "amd64", fields={"Multi-Arch": "same"})
    other = TinyPackage("same", "1:1.0", "i386", fields={"Multi-Arch": "same"})
    home = Local("home", "2:0~1")
    machine = prepare(
        *(TinyPackage("epoch", odd["epoch"]), TinyPackage("tilde", odd["tilde"])),
        *(foreign, same, other),
        commands=[
            "dpkg --add-architecture i386",
            "apt-get update -q",
            "apt-get install -qy epoch tilde foreign:i386 same:amd64 same:i386",
            f"{make_deb(home)}; dpkg -i {home.path}",
            SETTLE,
        ],
        fresh=True,
    )
    machine.stop()
    machine.boot(network=False)
    start(machine)
    assert has(
        machine,
        {
            "epoch": odd["epoch"],
            "tilde": odd["tilde"],
            "foreign:i386": odd["foreign"],
            "same:amd64": "1:1.0",
            "same:i386": "1:1.0",
            "home": "2:0~1",
        },
    )


# -- going back


def test_versions_go_back(stocked: Workstation, repository: Repository) -> None:
    """By `restore --generation` for once, by `rollback` for good; `diff` shows it before."""
    start(stocked)
    repository.publish(*MOVED_ON, TinyPackage("delta"))
    update(stocked)
    stocked.run("apt-get", "upgrade", "-qy")
    install(stocked, "delta")
    stocked.run("apt-get", "purge", "-qy", "plain")
    newer = Local("local", "1.5", depends="gamma")
    make_debs(stocked, newer)
    stocked.run("dpkg", "-i", newer.path)
    settle(stocked)
    new = {**STOCK, **dict.fromkeys(("alpha", "beta", "gamma"), "2.0"), "local": "1.5"}
    new = {name: version for name, version in new.items() if name != "plain"}
    repository.down()
    found = [
        {n: w["version"] for n, w in each["packages"].items()} for each in generations(stocked)
    ]
    last, target = len(found), str(found.index(STOCK) + 1)

    differences = document(stocked, "diff", str(last), target)["differences"]
    shown = {entry["name"]: (entry["old"], entry["new"]) for entry in differences}
    assert shown == {
        "alpha": ("install 2.0, manual", "install 1.0, manual"),
        "beta": ("install 2.0, automatic", "install 1.0, automatic"),
        "gamma": ("install 2.0, automatic", "install 1.0, automatic"),
        "local": (f"install 1.5, manual, {LOCALLY}", f"install 1.0, manual, {LOCALLY}"),
        "plain": (None, f"install 1.0, manual, {LOCALLY}"),
        "delta": ("install 1.0, manual", None),
    }
    preview = aptkeep(stocked, "restore", "--generation", target, "--dry-run").stdout
    for name in shown:
        assert name in preview
    assert has(stocked, {**new, "delta": "1.0"})

    aptkeep(stocked, "restore", "--generation", target)
    assert has(stocked, STOCK)
    assert "delta" not in installed(stocked)
    next_boot(stocked, network=False)
    assert has(stocked, {**new, "delta": "1.0"})
    aptkeep(stocked, "rollback", target)
    assert has(stocked, STOCK)
    assert "delta" not in installed(stocked)
    next_boot(stocked, network=False)
    assert has(stocked, STOCK)
    assert same_files(stocked)
    assert "delta" not in installed(stocked)


# -- the last installed file counts


def test_same_version_with_other_content(stocked: Workstation, repository: Repository) -> None:
    start(stocked)
    mine = Local("alpha", content="my own alpha", depends="beta")
    newer = Local("plain", content="rebuilt")
    make_debs(stocked, mine, newer)
    stocked.run("dpkg", "-i", mine.path)
    stocked.run("apt-get", "install", "-qy", "--reinstall", newer.path)
    settle(stocked)
    assert pooled(stocked) == STOCK
    # beta has to be fetched, so that apt sees the repository's alpha, too.
    file_of(stocked, "beta").unlink()
    repository.requests.clear()
    next_boot(stocked)
    assert stocked.sh("cat /usr/share/alpha /usr/share/plain").stdout == "my own alpha\nrebuilt\n"
    assert downloads(repository) == ["beta_1.0_all.deb"]
    # Back to the repository's.
    stocked.run("apt-get", "install", "-qy", "--reinstall", "--allow-downgrades", "alpha=1.0")
    alpha = stocked.read_text("/usr/share/alpha")
    settle(stocked)
    next_boot(stocked, network=False)
    assert stocked.read_text("/usr/share/alpha") == alpha == "a\n"


def test_what_was_not_installed_replaces_nothing(stocked: Workstation) -> None:
    """A file whose installation failed, or that was looked at, of the same version."""
    start(stocked)
    bad = Local("plain", content="never installed", preinst="exit 1")
    make_debs(stocked, bad)
    kept = file_of(stocked, "plain")
    shown = stocked.run("dpkg", "-i", bad.path, check=False)
    assert shown.returncode == 1
    assert "aptkeep" not in shown.stderr
    shown = stocked.run("apt-get", "install", "-qy", "--reinstall", bad.path, check=False)
    assert shown.returncode == 100
    assert "aptkeep" not in shown.stderr
    make_debs(stocked, Local("plain", content="never installed"))
    stocked.sh(f"dpkg --no-act -i {PLAIN.path}; dpkg --info {PLAIN.path}; dpkg -c {PLAIN.path}")
    stocked.run("apt-get", "install", "-qy", "--reinstall", "--download-only", PLAIN.path)
    aptkeep(stocked, "record")
    settle(stocked)
    assert file_of(stocked, "plain") == kept
    next_boot(stocked, network=False)
    assert same_files(stocked)


def test_package_of_a_repository_in_the_place_of_a_lost_file_is_said(
    stocked: Workstation, repository: Repository
) -> None:
    """It has the version, but is not what was installed."""
    file_of(stocked, "plain").unlink()
    repository.publish(ALPHA, BETA, GAMMA, TinyPackage("plain", files={"/usr/share/plain": "r\n"}))
    result = start(stocked)
    assert has(stocked, STOCK)
    (note,) = (line for line in result.stderr.splitlines() if "note: plain" in line)
    assert "installed from a local file, which the pool does not have any more" in note
