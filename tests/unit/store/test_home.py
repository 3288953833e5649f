"""Finding the home among accounts and mounts."""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from pathlib import Path

import pytest

from aptkeep.errors import UsageError
from aptkeep.store.home import find


def account(home: Path | str, uid: int = 1000, name: str = "bench-user") -> pwd.struct_passwd:
    """An entry of passwd(5)."""
    return pwd.struct_passwd((name, "x", uid, uid, "", str(home), "/bin/bash"))


def found(accounts: list[pwd.struct_passwd], mounts: Mapping[Path, object] | None = None) -> str:
    """The home that is found; what isn't in `mounts` lies on the root file system."""
    table = {str(path): str(mount) for path, mount in (mounts or {}).items()}
    return find(None, accounts, lambda path: table.get(path, "/"))


@pytest.fixture
def homes(tmp_path: Path) -> list[Path]:
    """Three directories."""
    made = [tmp_path / name for name in ("alice", "bob", "carol")]
    for home in made:
        home.mkdir()
    return made


# -- configured


def test_the_home_is_as_configured(tmp_path: Path) -> None:
    assert find(str(tmp_path)) == str(tmp_path)
    assert find(f"{tmp_path}/") == str(tmp_path)
    assert find("/") == "/"


@pytest.mark.parametrize("configured", ["relative", "~", "home/user", ""])
def test_a_configured_home_is_a_path_from_the_root(configured: str) -> None:
    with pytest.raises(UsageError, match=r"Aptkeep::Home|is not there") as caught:
        find(configured)
    assert caught.value.resolution


def test_a_configured_home_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=str(tmp_path / "gone")):
        find(str(tmp_path / "gone"))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError):
        find(str(tmp_path / "file"))


# -- found


def test_the_only_home_is_it(homes: list[Path]) -> None:
    assert found([account(homes[0])]) == str(homes[0])


def test_the_home_on_a_mount_of_its_own_is_it(homes: list[Path]) -> None:
    accounts = [account(home, 1000 + n) for n, home in enumerate(homes)]
    assert found(accounts, {homes[1]: homes[1]}) == str(homes[1])


def test_a_mount_of_its_own_goes_before_another_mount(homes: list[Path]) -> None:
    mounts = {homes[0]: "/home", homes[1]: homes[1], homes[2]: "/home"}
    accounts = [account(home, 1000 + n) for n, home in enumerate(homes)]
    assert found(accounts, mounts) == str(homes[1])


def test_a_home_on_a_mount_goes_before_one_on_the_root(homes: list[Path]) -> None:
    accounts = [account(home, 1000 + n) for n, home in enumerate(homes)]
    assert found(accounts, {homes[2]: "/volumes/data"}) == str(homes[2])


@pytest.mark.parametrize("where", ["/", "/home", "own"])
def test_several_that_could_be_meant_are_named(homes: list[Path], where: str) -> None:
    mounts = {home: home if where == "own" else where for home in homes[:2]}
    accounts = [account(home, 1000 + n) for n, home in enumerate(homes[:2])]
    with pytest.raises(UsageError) as caught:
        found(accounts, mounts)
    assert all(str(home) in caught.value.brief for home in homes[:2])
    assert str(homes[2]) not in caught.value.brief
    assert "Aptkeep::Home" in caught.value.resolution
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("uid", [0, 999, 60000, 65534])
def test_accounts_of_the_system_have_no_home(homes: list[Path], uid: int) -> None:
    with pytest.raises(UsageError, match="no account"):
        found([account(homes[0], uid)])
    assert found([account(homes[0], uid), account(homes[1], 1000)]) == str(homes[1])


@pytest.mark.parametrize("uid", [1000, 1001, 59999])
def test_accounts_of_people_have_one(homes: list[Path], uid: int) -> None:
    assert found([account(homes[0], uid)]) == str(homes[0])


def test_accounts_that_share_a_home_are_one(homes: list[Path]) -> None:
    accounts = [account(homes[0]), account(f"{homes[0]}/", 1001, "alias")]
    assert found(accounts) == str(homes[0])


@pytest.mark.parametrize("home", ["/nonexistent", "/", ""])
def test_a_home_that_is_not_there_does_not_count(homes: list[Path], home: str) -> None:
    assert found([account(home, 1001, "service"), account(homes[0])]) == str(homes[0])
    with pytest.raises(UsageError, match="no account"):
        found([account(home, 1001, "service")])


def test_the_real_tables_are_asked_where_none_are_given() -> None:
    try:
        assert find(None).startswith("/")
    except UsageError as error:
        assert "Aptkeep::Home" in error.resolution  # noqa: PT017 - either is right
