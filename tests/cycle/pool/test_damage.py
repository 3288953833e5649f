"""What isn't what was pooled is never installed; the rest comes back."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cycle.conftest import Prepare
from cycle.keeping import (
    add_source,
    aptkeep,
    install,
    installed,
    next_boot,
    pending,
    said,
    start,
)
from cycle.pool.stock import (
    ALPHA,
    BETA,
    HOME,
    INCOMING,
    PLAIN,
    SETTLE,
    STOCK,
    Local,
    downloads,
    file_of,
    has,
    locked,
    make_deb,
    make_debs,
    pool,
    pooled,
    same_files,
    settle,
)
from testbed.packages import TinyPackage, build
from testbed.repository import Repository
from testbed.workstation import Workstation

Damage = Callable[[Path], object]


def flip(path: Path) -> None:
    """One byte of the package's content."""
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 100)


def swap(path: Path) -> None:
    """Another valid .deb of the same name, version and size, with other content."""
    content = path.read_bytes()
    other = content.replace(b"as it was", b"is hacked")
    other = other.replace(b"b\n" + bytes(9), b"X\n" + bytes(9))
    assert other != content
    assert len(other) == len(content)
    path.write_bytes(other)


def swap_for_another_version(path: Path) -> None:
    """Another valid .deb, which is newer."""
    name = path.name.partition("_")[0]
    deb = build(TinyPackage(name, "6.6"), path.parents[5] / "newer")
    path.write_bytes(deb.read_bytes())


def empty(path: Path) -> None:
    os.truncate(path, 0)


def link(path: Path) -> None:
    """The user's own file in its place."""
    moved = path.parents[4] / path.name
    path.rename(moved)
    path.symlink_to(f"{HOME}/{path.name}")


def give_away(path: Path) -> None:
    os.chown(path, 1000, 1000)


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Damage] = {
    "flip": flip,
    "shorten": shorten,
    "swap": swap,
    "newer": swap_for_another_version,
    "empty": empty,
    "unlink": Path.unlink,
    "link": link,
    "give-away": give_away,
    "directory": replace_by_directory,
    "fifo": replace_by_fifo,
}
FETCHED = [TinyPackage(f"r-{name}", files={f"/usr/share/r-{name}": "b\n"}) for name in DAMAGES]
KEPT = [Local(f"l-{name}") for name in DAMAGES]
BUILD = [
    "; ".join(make_deb(package) for package in KEPT),
    f"dpkg -i {' '.join(package.path for package in KEPT)}",
]


def test_damaged_files_are_fetched_afresh_or_pending(
    prepare: Prepare, repository: Repository
) -> None:
    """Of each kind one that is in the repository, and one that is not."""
    names = " ".join(package.name for package in FETCHED)
    machine = prepare(
        *(ALPHA, BETA, *FETCHED),
        commands=[f"apt-get install -qy alpha {names}", *BUILD, SETTLE],
        fresh=True,
    )
    for kind, damage in DAMAGES.items():
        damage(file_of(machine, f"r-{kind}"))
        damage(file_of(machine, f"l-{kind}"))
    repository.requests.clear()
    result = start(machine, code=1)
    assert "Traceback" not in result.output
    fetched = dict.fromkeys((package.name for package in FETCHED), "1.0")
    kept = dict.fromkeys((package.name for package in KEPT), "1.0")
    assert has(machine, {"alpha": "1.0", "beta": "1.0", **fetched})
    assert not kept.keys() & installed(machine).keys()
    for name in fetched:
        assert machine.read_text(f"/usr/share/{name}") == "b\n"
    assert sorted(downloads(repository)) == sorted(package.file_name for package in FETCHED)
    reasons = pending(machine)
    assert reasons.keys() == kept.keys()
    settle(machine)
    next_boot(machine, network=False, code=1)
    assert has(machine, {"alpha": "1.0", "beta": "1.0", **fetched})
    # Installed again, they are whole again.
    machine.sh("; ".join(BUILD))
    settle(machine)
    next_boot(machine, network=False)
    assert has(machine, {**fetched, **kept})
    for name, reason in reasons.items():
        if name != "l-unlink":
            assert "pool" in reason, name  # not only that no repository has it


def cut(path: Path) -> None:
    """In the middle of a paragraph."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 + 30])


def drop_the_last(path: Path) -> None:
    """Cut just between two paragraphs."""
    content = path.read_bytes()
    path.write_bytes(b"\n\n".join(content.split(b"\n\n")[:3]) + b"\n\n")


def other_fields(path: Path) -> None:
    """All is well-formed, but not what was written."""
    paragraphs = path.read_bytes().split(b"\n\n")
    paragraphs[0] = paragraphs[0].replace(b"SHA256: ", b"SHA256: 0")
    paragraphs[1] = paragraphs[1].replace(b"Version: 1", b"Version: 9")
    paragraphs[2] = paragraphs[2].replace(b"Filename: ./", b"Filename: ../")
    path.write_bytes(b"\n\n".join(paragraphs))


def noise(path: Path) -> None:
    path.write_bytes(os.urandom(5000))


INDEX_DAMAGES: list[Damage] = [
    *(cut, drop_the_last, other_fields, noise, Path.unlink, replace_by_directory),
]


def add_odd_things(directory: Path) -> None:
    """What doesn't belong into a pool, and a half file of a process that died."""
    (directory / "README").write_text("mine\n")
    (directory / "someone.deb").write_bytes(b"!<arch>\n")
    (directory / "x_1_all.000000000000.deb").write_bytes(b"!<arch>\nwith another hash")
    (directory / "d_1_all.000000000000.deb").mkdir()
    os.mkfifo(directory / "f_1_all.000000000000.deb")
    (directory / "s_1_all.000000000000.deb").symlink_to("/dev/zero")
    (directory / ".new-999.9").write_bytes(b"!<arch>\n")
    (directory / ("n" * 200)).touch()


def test_damaged_index(stocked: Workstation) -> None:
    """What it doesn't tell any more is read from the files: no network is needed."""
    path = pool(stocked) / "Packages"
    whole = path.read_bytes()
    add_odd_things(pool(stocked))
    wrong = {}
    for damage in INDEX_DAMAGES:
        damage(path)
        stocked.stop()
        stocked.boot(network=False)
        result = stocked.run("aptkeep", "start", check=False)
        found = installed(stocked)
        if result.returncode != 0 or not STOCK.items() <= found.items():
            wrong[damage.__name__] = result.output
        if damage is replace_by_directory:
            break
        path.unlink(missing_ok=True)
        path.write_bytes(whole)
    assert wrong == {}
    assert same_files(stocked)
    # The next that is pooled makes the index whole again; what lies in the pool isn't lost.
    other = Local("other")
    make_debs(stocked, other)
    shown = stocked.run("dpkg", "-i", other.path)
    assert "aptkeep:" not in shown.stderr
    settle(stocked)
    next_boot(stocked, network=False)
    assert has(stocked, {**STOCK, "other": "1.0"})
    assert same_files(stocked)


def test_index_is_whole_again(stocked: Workstation) -> None:
    """After the next that is pooled, it names all that lies in the pool, as what it was."""
    drop_the_last(pool(stocked) / "Packages")
    start(stocked)
    other = Local("other")
    make_debs(stocked, other)
    stocked.run("dpkg", "-i", other.path)
    settle(stocked)
    assert pooled(stocked) == {**STOCK, "other": "1.0"}
    aptkeep(stocked, "verify")


def test_verify_names_damaged_files(stocked: Workstation) -> None:
    """Every byte in the store: the pool is a part of it."""
    aptkeep(stocked, "verify")
    for name, damage in (("alpha", flip), ("local", shorten), ("plain", swap)):
        damage(file_of(stocked, name))
    shown = aptkeep(stocked, "verify", code=3).output
    for name in ("alpha", "local", "plain"):
        assert file_of(stocked, name).name in shown
    assert file_of(stocked, "beta").name not in shown


def test_a_pool_that_is_no_directory_of_roots(stocked: Workstation) -> None:
    path = pool(stocked)
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
    result = start(stocked, code=1)
    assert "Traceback" not in result.output
    assert pending(stocked).keys() == {"local", "plain"}
    assert {"alpha", "beta", "gamma"} <= installed(stocked).keys()
    make_debs(stocked, PLAIN)
    shown = stocked.run("dpkg", "-i", PLAIN.path)
    assert "plain" in installed(stocked)
    (line,) = [line for line in shown.stderr.splitlines() if line.startswith("aptkeep:")]
    assert "pool" in line


def test_archive_that_is_not_what_its_repository_lists(
    machine: Workstation, repository: Repository, tmp_path: Path
) -> None:
    """Somebody changed it between apt and the pool: it isn't kept, and that is said once."""
    repository.publish(ALPHA, BETA)
    add_source(machine, repository)
    other = build(replace(BETA, files={"/usr/share/beta": "X\n"}), tmp_path).read_bytes()
    with locked(machine, INCOMING):
        install(machine, "alpha")
        caught = [f"{INCOMING}/{name}" for name in machine.run("ls", INCOMING).lines]
        for path in caught:
            if machine.run("dpkg-deb", "--field", path, "Package").stdout == "beta\n":
                machine.write(path, other)
    settle(machine)
    assert pooled(machine) == {"alpha": "1.0"}
    heard = [said(machine.run("dpkg", "--configure", "-a")) for _ in range(3)]
    (line,) = heard[0]
    assert "beta 1.0" in line
    assert heard[1:] == [[], []]
