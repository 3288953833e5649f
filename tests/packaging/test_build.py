"""Building the package as a Debian developer would, in every suite, and what lintian says."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from testbed import commands, images, source
from testbed.fixtures import MakeWorkstation
from testbed.images import Image

pytestmark = pytest.mark.machine

# As in the Makefile, where the reason stands, too.
LINTIAN = (
    *("lintian", "--allow-root", "--display-info", "--pedantic", "--display-experimental"),
    *("--suppress-tags", "newer-standards-version,out-of-date-standards-version"),
)
AT = "/build/aptkeep"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of the work tree, as a tar archive."""
    top = source.top()
    listing = commands.run(
        *("git", "-c", "safe.directory=*", "ls-files", "-z"),
        *("--cached", "--others", "--exclude-standard", "--deduplicate"),
        cwd=top,
    )
    archive = tmp_path_factory.mktemp("tree") / "aptkeep.tar"
    with tarfile.open(archive, "w") as tar:
        for name in filter(None, listing.stdout.split("\0")):
            if (top / name).exists():
                tar.add(top / name, name)
    return archive


def _prepared(suite: str, name: str, *profiles: str) -> Image:
    """The builder of the suite with what debian/control builds with."""
    script = (
        "apt-get update -q && "
        f"apt-get build-dep -qy --no-install-recommends {' '.join(profiles)} /build-dep && "
        "apt-get install -qy --no-install-recommends man-db && "
        "rm -rf /build-dep /var/lib/apt/lists/* /var/cache/apt/archives/*.deb"
    )
    control = source.top() / "debian/control"
    files: dict[str, Path | bytes] = {"/build-dep/debian/control": control}
    return images.extend(images.builder(suite), name, [["sh", "-ec", script]], files=files)


def test_it_builds_with_its_tests_and_lintian_has_nothing_to_say(
    suite: str, make_workstation: MakeWorkstation, tree: Path
) -> None:
    workstation = make_workstation(_prepared(suite, "builddeps")).boot(network=False)
    workstation.copy_in(tree, f"{AT}.tar")
    workstation.sh(f"mkdir {AT} && tar -x -C {AT} -f {AT}.tar --no-same-owner")
    built = workstation.run("dpkg-buildpackage", "-us", "-uc", cwd=AT, timeout=1200)
    assert " passed" in built.output, "the unit tests did not run"
    warnings = [line for line in built.output.splitlines() if "dpkg-" in line and "warning" in line]
    assert warnings == []
    said = workstation.sh(f"{' '.join(LINTIAN)} /build/aptkeep_*.changes")
    assert said.output == ""


def test_it_builds_without_tests_and_what_only_they_need(
    suite: str, make_workstation: MakeWorkstation, tree: Path
) -> None:
    workstation = make_workstation(_prepared(suite, "nocheck", "-P", "nocheck")).boot(network=False)
    workstation.copy_in(tree, f"{AT}.tar")
    workstation.sh(f"mkdir {AT} && tar -x -C {AT} -f {AT}.tar --no-same-owner")
    environment = {"DEB_BUILD_OPTIONS": "nocheck", "DEB_BUILD_PROFILES": "nocheck"}
    workstation.run("dpkg-buildpackage", "-us", "-uc", "-b", cwd=AT, env=environment)
    fields = workstation.sh("dpkg-deb --field /build/aptkeep_*.deb Depends").stdout
    # Guessed from names where the packages aren't there: it has to come to the same.
    for name in ("python3-apt", "python3-click", "python3-jsonschema"):
        assert name in fields
