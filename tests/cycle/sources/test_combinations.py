"""Every way to write a source, with its key at every place: it comes back as it was, and works."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

import pytest

from cycle.keeping import aptkeep, next_boot, said, start, store
from cycle.sources.combinations import CASES, FORMS, Case, Written
from cycle.sources.vendor import (
    HOME,
    USER,
    complaints,
    contents,
    in_days,
    reports,
    troubles,
    update,
    verified,
)
from testbed import commands, images
from testbed.fixtures import MakeRepository, MakeWorkstation
from testbed.images import Image
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

BATCHES = {"one-line": ("line", "main"), "deb822": ("stanza",)}


def keyring_package(
    name: str, files: dict[str, bytes], modes: dict[str, int], directory: Path
) -> Path:
    """A package that ships keyrings, binary ones too."""
    tree = directory / name
    control = TinyPackage(name).control()
    for path, content in {"/DEBIAN/control": control.encode(), **files}.items():
        place = tree / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(modes.get(path, 0o644))
    built = directory / f"{name}_1.0_all.deb"
    commands.run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, built)
    return built


def of_batch(batch: str) -> list[Case]:
    return [case for case in CASES if case.form.startswith(BATCHES[batch])]


def test_table_is_large_enough() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {case.form for case in CASES} == set(FORMS)
    assert len(names) >= 40


@pytest.fixture
def image_with_keys(  # noqa: PLR0917 - fixtures
    suite: str,
    batch: str,
    workstation_image: Image,
    vendor_key: SigningKey,
    other_key: SigningKey,
    scratch: Path,
) -> Image:
    """The image with a package that ships some of the keyrings."""
    shipped: dict[str, bytes] = {}
    for case in of_batch(batch):
        if case.owner == "image":
            shipped.update(case.key_files(vendor_key, other_key))
    deb = keyring_package("image-keyrings", shipped, {}, scratch / "image-keyrings")
    return images.extend(
        images.without_pool(images.without_archive(workstation_image)),
        "test",
        [["dpkg", "-i", "/root/it.deb"], ["rm", "/root/it.deb"]],
        files={"/root/it.deb": deb.read_bytes()},
        cache=False,
        directory=scratch,
    )


def write(machine: Workstation, case: Case, text: str, keys: dict[str, bytes]) -> None:
    of_source, of_keys = case.modes
    if case.owner != "image":
        for path, content in keys.items():
            user = USER if path.startswith(HOME) else None
            machine.write(path, content, of_keys, user=user)
    machine.write(case.source_path, text, of_source)


def paths(cases: Iterable[Case]) -> list[str]:
    return [path for case in cases for path in (case.source_path, *case.named_key_paths)]


@pytest.mark.parametrize("batch", BATCHES)
def test_everything_comes_back_as_it_was(  # noqa: PLR0917 - fixtures
    batch: str,
    suite: str,
    image_with_keys: Image,
    make_workstation: MakeWorkstation,
    make_repository: MakeRepository,
    vendor_key: SigningKey,
    other_key: SigningKey,
    scratch: Path,
) -> None:
    cases = of_batch(batch)
    files = {case.name: case.key_files(vendor_key, other_key) for case in cases}
    repository = make_repository("stable", key=vendor_key)
    debs = {
        case.name: keyring_package(
            f"keyring-{number}", files[case.name], {}, scratch / "vendor-keyrings"
        )
        for number, case in enumerate(cases)
        if case.owner == "vendor"
    }
    repository.publish(*debs.values())
    machine = make_workstation(image_with_keys).boot()
    architecture = machine.run("dpkg", "--print-architecture").stdout.strip()
    start(machine)
    for case in cases:
        # Each has an address of its own below the repository's, and a second one below that.
        place = repository.served / case.name
        place.mkdir()
        (place / "b").symlink_to(".")
        for name in ("dists", "pool"):
            (place / name).symlink_to(f"../{name}")
        uri = f"{repository.uri}/{case.name}"
        keys = ",".join(case.named_key_paths)
        written = Written(uri, repository.suite, keys, vendor_key, architecture)
        write(machine, case, FORMS[case.form](written), files[case.name])
    first = update(machine)
    problems = judge_verified(machine, repository, cases, "at first")
    assert problems == {}, complaints(first)
    if debs:
        names = [deb.name.partition("_")[0] for deb in debs.values()]
        machine.run("apt-get", "-qy", "install", *names)
    before = contents(machine, paths(cases))
    told = reports(machine)

    back = next_boot(machine)
    after = contents(machine, paths(cases))
    again = update(machine)
    problems = judge_verified(machine, repository, cases, "when it was back")
    for case in cases:
        for path in (case.source_path, *case.named_key_paths):
            if after[path] != before[path]:
                problems.setdefault(case.name, []).append(
                    f"{path} was {before[path]}, is {after[path]}"
                )
        problems.setdefault(case.name, []).extend(judge_told(case, told, vendor_key))
    assert {name: found for name, found in problems.items() if found} == {}
    assert complaints(again) <= complaints(first)
    assert said(first) == []
    assert troubles(back) == []
    assert aptkeep(machine, "status").stderr == ""
    judge_store(machine, cases)


def judge_verified(
    machine: Workstation, repository: Repository, cases: Iterable[Case], when: str
) -> dict[str, list[str]]:
    return {
        case.name: [f"apt did not verify it {when}"]
        for case in cases
        if not verified(machine, repository, f"/{case.name}")
    }


def judge_told(case: Case, told: dict[str, dict[str, object]], signer: SigningKey) -> list[str]:
    """It's proven, and its key named, or the package's keyring."""
    report = told.get(case.source_path)
    if report is None:
        return ["status doesn't name it"]
    found = []
    if report["proven"] != in_days(0):
        found.append(f"proven: {report['proven']}, {report['unproven']}")
    if case.named_key_paths and not case.form.endswith(("any", "fingerprint")):
        rings = report["keyrings"]
        assert isinstance(rings, list)
        if [ring["path"] for ring in rings] != list(case.named_key_paths):
            found.append(f"its keyrings are said to be {rings}")
        keys = [key["fingerprint"] for ring in rings for key in ring["keys"]]
        if case.owner == "image":
            if any(ring["kept"] for ring in rings):
                found.append("the image's own keyring is kept")
        elif signer.fingerprint not in keys:
            found.append(f"its keys are said to be {keys}")
    return found


def judge_store(machine: Workstation, cases: Iterable[Case]) -> None:
    """Keys of the image are not copied; the others are, under names that people recognise."""
    kept = sorted(path.name for path in (store(machine) / "keyrings").iterdir())
    for case in cases:
        for path in case.named_key_paths:
            stem, _dot, suffix = path.rpartition("/")[2].rpartition(".")
            found = [n for n in kept if n.startswith(f"{stem}.") and n.endswith(f".{suffix}")]
            assert len(found) == (0 if case.owner == "image" else 1), path
    for copy in (store(machine) / "keyrings").iterdir():
        assert stat.S_IMODE(copy.stat().st_mode) in (0o644, 0o600)
