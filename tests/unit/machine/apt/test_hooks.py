"""Whether our hooks are called, as apt's and dpkg's configuration has them in the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import apt_pkg
import pytest

from aptkeep.machine.apt import hooks
from aptkeep.machine.apt.config import Paths
from aptkeep.machine.apt.hooks import Silenced
from unit.machine.apt.apt_root import AptRoot

_TOP = Path(__file__).parents[4]
PARTS = "etc/apt/apt.conf.d"
OURS = f"{PARTS}/80aptkeep"


@pytest.fixture
def paths(apt: AptRoot) -> Paths:
    """A root with the hooks that we ship."""
    apt.write(OURS, (_TOP / "hooks/apt.conf.d/80aptkeep").read_bytes())
    apt.write("etc/dpkg/dpkg.cfg.d/aptkeep", (_TOP / "hooks/dpkg.cfg.d/aptkeep").read_bytes())
    return apt.load().paths


def silenced(apt: AptRoot, paths: Paths) -> dict[str, list[str]]:
    """The hooks that aren't called, by the file (relative to the root) that has done it."""
    for name in ("DPkg", "APT::Update", "APT::Install"):
        apt_pkg.config.clear(name)
    for path in sorted((apt.path / PARTS).iterdir()):
        apt_pkg.read_config_file(apt_pkg.config, str(path))
    found: dict[str, list[str]] = {}
    for hook in hooks.of_apt(_relocated(paths, apt)):
        found.setdefault(str(Path(hook.where).relative_to(apt.path)), []).append(hook.name)
    return found


def _relocated(paths: Paths, apt: AptRoot) -> Paths:
    return replace(
        paths,
        configuration=str(apt.path / "etc/apt/apt.conf"),
        configuration_parts=str(apt.path / PARTS),
    )


def test_all_hooks_are_called(apt: AptRoot, paths: Paths) -> None:
    apt.write(f"{PARTS}/99other", 'DPkg::Post-Invoke { "true"; }; DPkg::Pre-Install-Pkgs "true";')
    assert silenced(apt, paths) == {}


@pytest.mark.parametrize(
    ("setting", "hook"),
    [
        ("#clear DPkg::Post-Invoke;", "DPkg::Post-Invoke"),
        ("#clear dpkg::post-invoke::APTKEEP;", "DPkg::Post-Invoke"),
        ('DPkg { Pre-Install-Pkgs { aptkeep ""; }; };', "DPkg::Pre-Install-Pkgs"),
        ('APT::Update::Pre-Invoke::aptkeep "true";', "APT::Update::Pre-Invoke"),
        (
            'DPkg::Tools::Options::/usr/libexec/aptkeep/hook::Version "2";',
            "DPkg::Tools::Options::/usr/libexec/aptkeep/hook::Version",
        ),
    ],
)
def test_who_takes_a_hook_away_is_named(
    apt: AptRoot, paths: Paths, setting: str, hook: str
) -> None:
    apt.write(f"{PARTS}/90innocent", 'DPkg::Post-Invoke:: "true";')
    apt.write(f"{PARTS}/91culprit", setting)
    apt.write(f"{PARTS}/99late", "#clear DPkg::Post-Invoke;" if "Post" in hook else "")
    assert silenced(apt, paths) == {f"{PARTS}/91culprit": [hook]}


def test_what_comes_before_ours_takes_nothing_away(apt: AptRoot, paths: Paths) -> None:
    apt.write(f"{PARTS}/10early", "#clear DPkg; #clear APT;")
    assert silenced(apt, paths) == {}


def test_everything_is_cleared(apt: AptRoot, paths: Paths) -> None:
    apt.write(f"{PARTS}/91culprit", "#clear DPkg;\n#clear APT::Update;\n")
    (names,) = silenced(apt, paths).values()
    assert len(names) == 6


@pytest.mark.parametrize("gone", [True, False])
def test_our_own_file_is_gone_or_cut_short(apt: AptRoot, paths: Paths, *, gone: bool) -> None:
    if gone:
        (apt.path / OURS).unlink()
    else:
        apt.write(OURS, "// a person's own\n")
    assert len(silenced(apt, paths)[OURS]) == 7
    assert {hook.gone for hook in hooks.of_apt(_relocated(paths, apt))} == {gone}


def test_dpkgs_hooks(apt: AptRoot, paths: Paths) -> None:
    assert hooks.of_dpkg(paths.root) == []
    own = apt.path / "etc/dpkg/dpkg.cfg.d/aptkeep"
    own.write_text(own.read_text(encoding="ascii").replace("\npost-invoke", "\n#post-invoke"))
    assert hooks.of_dpkg(paths.root) == [Silenced("dpkg's post-invoke", str(own), ours=True)]
    own.unlink()
    assert [hook.gone for hook in hooks.of_dpkg(paths.root)] == [True, True]


def test_the_program(apt: AptRoot, paths: Paths) -> None:
    assert hooks.program_trouble(paths.root) == "it is not there"
    apt.write(hooks.PROGRAM[1:], "#!/bin/sh\n")
    assert hooks.program_trouble(paths.root) == "it is not executable"
    (apt.path / hooks.PROGRAM[1:]).chmod(0o755)
    assert hooks.program_trouble(paths.root) is None
