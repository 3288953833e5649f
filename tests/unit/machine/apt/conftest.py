"""Tests of apt's rooms have a root that libapt reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.machine.apt.apt_root import AptRoot, forget


@pytest.fixture(scope="module")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """apt's configuration without this machine's."""
    settings_file = tmp_path_factory.mktemp("apt") / "apt.conf"
    settings_file.write_text(
        """
        Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null";
        Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";
        APT::Architecture "amd64"; APT::Architectures { "amd64"; "i386"; };
        """,
        encoding="ascii",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APT_CONFIG", str(settings_file))
        forget()
        yield
        forget()


@pytest.fixture
def apt(isolated: None, tmp_path: Path) -> AptRoot:
    """An empty root."""
    return AptRoot(tmp_path)
