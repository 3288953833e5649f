"""A pool that has a bound, a home that has no room, a cache and a home that are shared."""

from __future__ import annotations

import threading

from cycle.conftest import Prepare
from cycle.keeping import (
    add_source,
    aptkeep,
    document,
    install,
    installed,
    next_boot,
    pending,
    said,
    start,
    update,
    wishes,
)
from cycle.pool.stock import (
    ALPHA,
    BETA,
    GAMMA,
    HOME,
    INCOMING,
    SETTLE,
    Local,
    downloads,
    file_of,
    has,
    locked,
    make_deb,
    make_debs,
    origins,
    pooled,
    settle,
)
from testbed.fixtures import MakeWorkstation
from testbed.images import Image
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation


def large(name: str) -> TinyPackage:
    """Somewhat more than 100 kB."""
    return TinyPackage(name, files={f"/usr/share/{name}": name.ljust(100_000)})


IDLE, OLD, YOUNG, GONE = (large(name) for name in ("idle", "old", "young", "gone"))
MINE = Local("mine", kilobytes=100)


def test_bound_and_garbage(prepare: Prepare, repository: Repository) -> None:
    """First what no generation wants goes, then what can be had again, oldest first."""
    machine = prepare(
        *(IDLE, OLD, YOUNG, GONE),
        contents=(IDLE,),
        commands=[
            "apt-get install -qy gone",
            f"{make_deb(MINE)}; dpkg -i {MINE.path}",
            SETTLE,
            "apt-get install -qy old",
            SETTLE,
            "apt-get install -qy young",
            SETTLE,
            # What the image has is nobody's wish.
            "apt-get install -qy --reinstall idle",
            SETTLE,
        ],
    )
    whole = dict.fromkeys(("gone", "mine", "old", "young", "idle"), "1.0")
    assert pooled(machine) == whole
    idle = file_of(machine, "idle")
    assert document(machine, "gc", "--dry-run") == {
        "dry_run": True,
        "generations": [],
        "files": [f"pool/{idle.name}"],
        "freed": idle.stat().st_size,
    }
    shown = aptkeep(machine, "gc", "--dry-run").stdout
    assert f"pool/{idle.name}\n" in shown
    assert "would be freed" in shown
    assert pooled(machine) == whole
    aptkeep(machine, "gc")
    del whole["idle"]
    assert pooled(machine) == whole
    assert document(machine, "gc", "--dry-run")["files"] == []

    repository.publish(IDLE, OLD, YOUNG)
    update(machine)
    install(machine, "--reinstall", "idle")
    settle(machine)
    record = ("record", "-o", "Aptkeep::Pool::Max-Size=500K")
    assert aptkeep(machine, *record).output == "aptkeep: nothing new.\n"
    assert pooled(machine) == whole
    aptkeep(machine, "record", "-o", "Aptkeep::Pool::Max-Size=400K")
    assert pooled(machine).keys() == {"gone", "mine", "young"}
    # Not what can't be had again, even if the pool stays larger than it should be.
    aptkeep(machine, "record", "-o", "Aptkeep::Pool::Max-Size=1K")
    assert pooled(machine).keys() == {"gone", "mine"}
    repository.requests.clear()
    next_boot(machine)
    assert has(machine, whole)
    assert sorted(downloads(repository)) == ["old_1.0_all.deb", "young_1.0_all.deb"]


def test_full_home_stops_pooling_but_no_recording(machine: Workstation) -> None:
    """It's said once, and what waits is pooled when there is room."""
    options = "size=1500k,uid=1000,gid=1000,mode=755"
    machine.run("mount", "-t", "tmpfs", "-o", options, "tmpfs", HOME)
    large, small = Local("large", kilobytes=2000), Local("small")
    make_debs(machine, large, small)
    result = machine.run("dpkg", "-i", large.path)
    assert "large" in installed(machine)
    (line,) = said(result)
    assert "no room" in line
    assert HOME in line
    for command in (
        ["dpkg", "-i", large.path],
        ["dpkg", "-i", small.path],
        ["dpkg", "-r", "small"],
    ):
        assert said(machine.run(*command)) == []
    settle_without_waiting(machine)
    manifest = document(machine, "show")["manifest"]["packages"]
    assert manifest["large"] == {
        "selection": "install",
        "version": "1.0",
        "auto": False,
        "deb": "local",
    }
    listed = machine.run("ls", "-A", f"{HOME}/.local/share/aptkeep/pool").lines
    assert not [name for name in listed if name.startswith((".", "large"))]
    machine.run("mount", "-o", "remount,size=10m", HOME)
    assert aptkeep(machine, "record").output == "aptkeep: nothing new.\n"
    listed = machine.run("ls", "-A", f"{HOME}/.local/share/aptkeep/pool").lines
    assert [name for name in listed if name.startswith("large")]
    # The next time is another time.
    more = Local("more", kilobytes=20000)
    make_debs(machine, more)
    (line,) = said(machine.run("dpkg", "-i", more.path))
    assert "no room" in line


def settle_without_waiting(machine: Workstation) -> None:
    """Nobody is at work any more, whether files wait or not."""
    machine.sh(SETTLE.rpartition(";")[0])


def test_archive_cache_in_the_home_is_linked(machine: Workstation, repository: Repository) -> None:
    """Where apt's cache and the pool share a volume, nothing is copied; apt may clean up."""
    repository.publish(ALPHA, BETA, GAMMA)
    add_source(machine, repository)
    cache = f"{HOME}/.cache/apt-archives"
    machine.sh(f"mkdir -p {cache}/partial")
    machine.write("/etc/apt/apt.conf.d/95cache", f'Dir::Cache::archives "{cache}/";\n')
    install(machine, "gamma")
    settle(machine)
    kept = machine.home / cache[len(HOME) + 1 :] / "gamma_1.0_all.deb"
    assert file_of(machine, "gamma").stat().st_ino == kept.stat().st_ino
    # Unlike apt-get, apt deletes what it fetched; the worker of another run is not yet done.
    with locked(machine, INCOMING):
        machine.run("apt", "install", "-qy", "alpha")
    settle(machine)
    assert pooled(machine) == {"alpha": "1.0", "beta": "1.0", "gamma": "1.0"}
    assert machine.sh(f"ls {cache}/*.deb").lines == [f"{cache}/gamma_1.0_all.deb"]
    machine.stop()
    kept.unlink()
    machine.boot(network=False)
    start(machine)
    assert has(machine, {"alpha": "1.0", "beta": "1.0", "gamma": "1.0"})


def test_keep_local_or_nothing(machine: Workstation, repository: Repository) -> None:
    repository.publish(ALPHA, BETA, GAMMA)
    add_source(machine, repository)
    make_debs(machine, Local("one"), Local("two"), Local("three"))
    keep = "/etc/apt/apt.conf.d/90keep"
    machine.write(keep, 'Aptkeep::Pool::Keep "local";\n')
    install(machine, "gamma", Local("one").path)
    machine.run("dpkg", "-i", Local("two").path)
    settle(machine)
    assert pooled(machine) == {"one": "1.0", "two": "1.0"}
    machine.write(keep, 'Aptkeep::Pool::Keep "none";\n')
    install(machine, "alpha")
    machine.run("dpkg", "-i", Local("three").path)
    settle(machine)
    assert pooled(machine) == {"one": "1.0", "two": "1.0"}
    assert wishes(machine).keys() == {"alpha", "beta", "gamma", "one", "two", "three"}
    next_boot(machine, code=1)
    assert pending(machine).keys() == {"three"}


def test_two_machines_with_one_home(
    make_workstation: MakeWorkstation, local_image: Image, repository: Repository
) -> None:
    """Both pool at the same time; the third finds it all."""
    repository.publish(*(TinyPackage(f"r{number}") for number in range(4)))
    first = make_workstation(local_image).boot()
    start(first)
    add_source(first, repository)
    second = make_workstation(local_image, home=first.home).boot()
    start(second)
    update(second)
    failed: list[str] = []

    def use(machine: Workstation, numbers: tuple[int, ...]) -> None:
        for number in numbers:
            local = Local(f"l{number}")
            make_debs(machine, local)
            for command in (
                ["apt-get", "install", "-qy", f"r{number}"],
                ["dpkg", "-i", local.path],
            ):
                failed.extend(said(machine.run(*command)))

    together = threading.Thread(target=use, args=(second, (2, 3)))
    together.start()
    use(first, (0, 1))
    together.join()
    settle(first)
    settle(second)
    assert failed == []
    expected = {f"{kind}{number}": "1.0" for kind in "rl" for number in range(4)}
    assert pooled(first) == expected
    assert {name: kind for name, kind in origins(first).items() if kind == "local"}.keys() == {
        f"l{number}" for number in range(4)
    }
    first.stop()
    next_boot(second, network=False)
    assert has(second, expected)
