"""apt's own configuration, which is also ours, checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apt_pkg
import pytest

from aptkeep.errors import UsageError
from aptkeep.machine.apt import config
from aptkeep.machine.apt.config import Configuration, Settings


def _forget() -> None:
    for name in apt_pkg.config.keys():  # noqa: SIM118 - it is no dictionary
        if "::" not in name:
            apt_pkg.config.clear(name)


@pytest.fixture
def apt_conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An apt.conf(5) that is all there is; apt_pkg's configuration is one for the whole process."""
    path = tmp_path / "apt.conf"
    path.touch()
    monkeypatch.setenv("APT_CONFIG", str(path))
    _forget()
    yield path
    _forget()


def load(apt_conf: Path, text: str = "", *options: str, root: Path | None = None) -> Configuration:
    """The configuration with this apt.conf and these options."""
    isolated = 'Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null";\n'
    apt_conf.write_text(isolated + text, encoding="utf-8")
    return config.load(options, root=str(root) if root else None)


def settings(apt_conf: Path, text: str = "", *options: str) -> Settings:
    """The settings with this apt.conf and these options."""
    return load(apt_conf, text, *options).settings


# -- settings


def test_the_defaults_are_those_of_the_manual(apt_conf: Path) -> None:
    assert settings(apt_conf) == Settings(
        home=None,
        store=".local/share/aptkeep",
        latest=False,
        exclude=(),
        hook_timeout=10.0,
        pool_keep="all",
        pool_limit=4 << 30,
        lock_timeout=120.0,
    )


def test_every_setting(apt_conf: Path) -> None:
    found = settings(
        apt_conf,
        """
        Aptkeep {
            Home "/home/bench-user";
            Store ".config/aptkeep";
            Trust "root";
            Restore::Versions "latest";
            Keys::Relocate "rewrite";
            Exclude { "^linux-image-"; "-dbgsym$"; };
            Hook::Timeout "2.5";
            Pool::Keep "local";
            Pool::Max-Size "512M";
        };
        DPkg::Lock::Timeout "30";
        """,
    )
    assert found == Settings(
        home="/home/bench-user",
        store=".config/aptkeep",
        latest=True,
        exclude=("^linux-image-", "-dbgsym$"),
        hook_timeout=2.5,
        rewrite_sources=True,
        pool_keep="local",
        pool_limit=512 << 20,
        lock_timeout=30.0,
    )


def test_options_go_over_the_file(apt_conf: Path) -> None:
    text = 'Aptkeep::Home "/home/a"; Aptkeep::Restore::Versions "latest";'
    loaded = load(
        apt_conf, text, "Aptkeep::Home=/home/b", "Aptkeep::Restore::Versions=recorded", "X::Y=a=b"
    )
    assert loaded.settings.home == "/home/b"
    assert not loaded.settings.latest
    assert loaded.options[2] == "X::Y=a=b"
    assert apt_pkg.config.find("X::Y") == "a=b"


@pytest.mark.parametrize("option", ["", "Aptkeep::Home", "=x", "="])
def test_an_option_without_a_value_is_wrong_usage(apt_conf: Path, option: str) -> None:
    with pytest.raises(UsageError, match="has no value") as caught:
        load(apt_conf, "", option)
    assert caught.value.resolution


@pytest.mark.parametrize("trust", ["none", "Root", "yes"])
def test_trust_that_this_version_does_not_know_is_refused(apt_conf: Path, trust: str) -> None:
    """Rather than taken for less."""
    with pytest.raises(UsageError, match=trust):
        settings(apt_conf, f'Aptkeep::Trust "{trust}";')


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Restore::Versions", "newest"),
        ("Keys::Relocate", "move"),
        ("Store", "/var/lib/store"),
        ("Store", "../outside"),
        ("Store", ".local/../../outside"),
        ("Store", "/"),
        ("Store", "."),
        ("Store", "./"),
        ("Hook::Timeout", "soon"),
        ("Hook::Timeout", "nan"),
        ("Hook::Timeout", "10s"),
        ("Pool::Keep", "some"),
        ("Pool::Max-Size", "4 G"),
        ("Pool::Max-Size", "4GB"),
        ("Pool::Max-Size", "-1"),
        ("Pool::Max-Size", "1.5G"),
        ("Pool::Max-Size", "all"),
    ],
)
def test_a_value_that_can_not_be_is_named(apt_conf: Path, name: str, value: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings(apt_conf, f'Aptkeep::{name} "{value}";')
    assert f"Aptkeep::{name}" in caught.value.brief
    assert value in caught.value.brief
    assert caught.value.resolution


@pytest.mark.parametrize(
    ("written", "store"),
    [
        (".local/share/aptkeep/", ".local/share/aptkeep"),
        ("./.local//share/./aptkeep", ".local/share/aptkeep"),
        ("store", "store"),
    ],
)
def test_the_store_is_a_plain_path(apt_conf: Path, written: str, store: str) -> None:
    assert settings(apt_conf, f'Aptkeep::Store "{written}";').store == store


def test_waiting_for_ever_is_what_apt_calls_minus_one(apt_conf: Path) -> None:
    assert settings(apt_conf, 'DPkg::Lock::Timeout "-1";').lock_timeout == float("inf")
    assert settings(apt_conf, 'DPkg::Lock::Timeout "0";').lock_timeout == 0.0


@pytest.mark.parametrize("timeout", ["-1", "inf", "1e300"])
def test_no_hook_waits_for_ever(apt_conf: Path, timeout: str) -> None:
    """apt waits for it, and select(2) takes no such number."""
    try:
        found = settings(apt_conf, f'Aptkeep::Hook::Timeout "{timeout}";').hook_timeout
    except UsageError:
        return
    assert 0 < found < 1e6


@pytest.mark.parametrize(
    ("written", "size"),
    [("0", 0), ("1000", 1000), ("1k", 1024), ("20M", 20 << 20), ("4g", 4 << 30), ("2T", 2 << 40)],
)
def test_a_size_is_in_bytes_or_binary_units(apt_conf: Path, written: str, size: int) -> None:
    assert settings(apt_conf, f'Aptkeep::Pool::Max-Size "{written}";').pool_limit == size


# -- what is excluded


def test_aptkeep_itself_is_never_kept(apt_conf: Path) -> None:
    found = settings(apt_conf)
    assert found.excluded("aptkeep")
    assert found.excluded("aptkeep:i386")
    assert not found.excluded("aptkeep-doc")
    assert not found.excluded("vim")


@pytest.mark.parametrize(
    ("patterns", "excluded", "kept"),
    [
        (["^linux-image-"], ["linux-image-6.1.0-1-amd64"], ["vim", "xlinux-image-"]),
        (["-dbgsym$", "^vim$"], ["vim", "vim:i386", "bash-dbgsym"], ["vim-tiny", "neovim"]),
        (["a|b"], ["a", "bat"], ["xyz"]),
        (["^(a)x\\1$", "^(b)y\\1$"], ["axa", "byb"], ["axb", "bya"]),
        (["(?i)^VIM$"], ["vim"], ["vi"]),
        ([], [], ["vim", ""]),
    ],
)
def test_what_is_excluded(
    apt_conf: Path, patterns: list[str], excluded: list[str], kept: list[str]
) -> None:
    listed = "".join(f'"{pattern}"; ' for pattern in patterns)
    found = settings(apt_conf, f"Aptkeep::Exclude {{ {listed} }};")
    assert all(found.excluded(name) for name in excluded)
    assert not any(found.excluded(name) for name in kept)


def test_a_single_exclusion_needs_no_list(apt_conf: Path) -> None:
    assert settings(apt_conf, 'Aptkeep::Exclude "^linux-image-";').excluded("linux-image-1")
    assert settings(apt_conf, "", "Aptkeep::Exclude::=^nano$").excluded("nano")
    assert settings(apt_conf, "", "Aptkeep::Exclude=^vim$").excluded("vim")


def test_an_exclusion_that_is_no_regular_expression_is_named(apt_conf: Path) -> None:
    with pytest.raises(UsageError, match=r"\(unclosed"):
        settings(apt_conf, 'Aptkeep::Exclude { "(unclosed"; };')


# -- paths


def test_paths_are_apts(apt_conf: Path) -> None:
    paths = load(apt_conf).paths
    assert paths.root == "/"
    assert paths.state == "/var/lib/aptkeep"
    assert paths.dpkg_status == "/var/lib/dpkg/status"
    assert paths.dpkg_directory == "/var/lib/dpkg"
    assert paths.extended_states == "/var/lib/apt/extended_states"
    assert paths.history_log == "/var/log/apt/history.log"
    assert paths.sources_list == "/etc/apt/sources.list"
    assert paths.sources_parts == "/etc/apt/sources.list.d"
    assert paths.preferences == "/etc/apt/preferences"
    assert paths.preferences_parts == "/etc/apt/preferences.d"
    assert paths.os_release == "/etc/os-release"


def test_paths_that_somebody_moved(apt_conf: Path) -> None:
    paths = load(
        apt_conf,
        """
        Dir::Etc::sourcelist "/srv/sources.list"; Dir::Etc::sourceparts "/srv/parts/";
        Dir::State::status "/srv/dpkg/status"; Dir::Log::History "apt-history";
        """,
    ).paths
    assert paths.sources_list == "/srv/sources.list"
    assert paths.sources_parts == "/srv/parts"
    assert paths.dpkg_status == "/srv/dpkg/status"
    assert paths.dpkg_directory == "/srv/dpkg"
    assert paths.history_log == "/var/log/apt/apt-history"


def test_another_root_has_everything_below_it(apt_conf: Path, tmp_path: Path) -> None:
    load(apt_conf)  # an earlier load in the same process leaves nothing behind
    paths = load(apt_conf, root=tmp_path).paths
    moved = {name: getattr(paths, name) for name in paths.__slots__}
    ours = ("configuration", "configuration_parts")  # set to nothing by this test itself
    outside = {
        name: path
        for name, path in moved.items()
        if path and not path.startswith(str(tmp_path)) and name not in ours
    }
    assert outside == {}


def test_the_native_architecture(apt_conf: Path) -> None:
    assert load(apt_conf, 'APT::Architecture "arm64";').architecture == "arm64"
    assert load(apt_conf).architecture


@pytest.mark.parametrize(
    ("written", "keep", "exclude", "limit"),
    [
        ("", (), (), 1 << 30),
        ('Aptkeep::Keep { "/usr/local"; "/opt/a b/"; };', ("/usr/local", "/opt/a b"), (), 1 << 30),
        ('Aptkeep::Keep "/opt//vendor/./x";', ("/opt/vendor/x",), (), 1 << 30),
        ('Aptkeep::Keep:: "/opt"; Aptkeep::Keep:: "/srv";', ("/opt", "/srv"), (), 1 << 30),
        (
            'Aptkeep::Keep { "/opt"; Exclude { "*/cache"; "*.o"; }; Max-Size "2M"; };',
            ("/opt",),
            ("*/cache", "*.o"),
            2 << 20,
        ),
        ('Aptkeep::Keep { "/opt"; }; Aptkeep::Keep::Exclude "*/x";', ("/opt",), ("*/x",), 1 << 30),
        (
            'Aptkeep::Keep { "/etc/nginx"; "/etc/hosts"; };',
            ("/etc/nginx", "/etc/hosts"),
            (),
            1 << 30,
        ),
    ],
)
def test_kept_paths(
    apt_conf: Path, written: str, keep: tuple[str, ...], exclude: tuple[str, ...], limit: int
) -> None:
    found = settings(apt_conf, written)
    assert (found.keep, found.keep_exclude, found.keep_limit) == (keep, exclude, limit)


@pytest.mark.parametrize(
    "path",
    [
        *("relative", "", "/opt/../etc", "/", "//", "/etc", "/etc/", "/usr/.", "/var/lib"),
        *("/var/lib/dpkg", "/var/lib/dpkg/info", "/var/lib/aptkeep/x", "/proc/1", "/dev/mapper"),
        *("/opt/*", "/opt/?", "/opt/[ab]", "/etc/apt", "/etc/apt/apt.conf.d"),
    ],
)
def test_paths_that_can_not_be_kept(apt_conf: Path, path: str) -> None:
    """Each costs only itself."""
    found = settings(apt_conf, f'Aptkeep::Keep {{ "/opt"; "{path}"; "/srv"; }};')
    assert found.keep == ("/opt", "/srv")
    ((entry, reason),) = found.keep_refused
    assert entry == path
    assert reason
