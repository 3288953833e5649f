"""apt's own configuration, which is also ours: `Aptkeep::…` in apt.conf(5).

On the hook path.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import apt_pkg

from aptkeep.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

STATE_DIRECTORY = "var/lib/aptkeep"
ITSELF = "aptkeep"
_THE_MACHINE = "/ /bin /boot /etc /lib /lib32 /lib64 /sbin /usr /var /var/lib"
_NO_FILES = "/dev /etc/apt /proc /run /sys /var/lib/apt /var/lib/aptkeep /var/lib/dpkg"
"""Directories that `Aptkeep::Keep` can't name; of the latter, what is in them neither."""
LONGEST_HOOK = 3600.0
"""Seconds; no apt run is to wait longer for a hook, whatever is configured."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where this root keeps what apt and dpkg know, as apt's configuration says."""

    root: str
    state: str
    """aptkeep's own directory on the root."""
    dpkg_directory: str
    dpkg_status: str
    extended_states: str
    history_log: str
    sources_list: str
    sources_parts: str
    preferences: str
    preferences_parts: str
    trusted: str
    trusted_parts: str
    configuration: str
    configuration_parts: str
    credentials: str
    credentials_parts: str
    lists: str
    archives: str
    """apt's cache of .deb files, with a slash at its end."""
    pkgcache: str
    os_release: str
    lock_frontend: str


@dataclass(frozen=True)
class Settings:
    """The `Aptkeep::` options, checked."""

    home: str | None = None
    store: str = ".local/share/aptkeep"
    latest: bool = False
    exclude: tuple[str, ...] = ()
    hook_timeout: float = 10.0
    """Seconds."""
    rewrite_sources: bool = False
    """`Aptkeep::Keys::Relocate "rewrite"`: sources name the copies of their keys in the home."""
    pool_keep: str = "all"
    """`all`, `local` or `none` of the .deb files that reach this machine."""
    pool_limit: int = 4 << 30
    """Bytes that the pool may take."""
    signed: bool = False
    """`Aptkeep::Trust "signed"`: signatures decide what of the store is believed, not owners."""
    trust_key: str | None = None
    """The path of the private key that signs."""
    trust_keys: tuple[str, ...] = ()
    """Paths of further public keys whose signatures are accepted."""
    identity: str | None = None
    """Whose home it is, in signatures; None: its owner's name and its path."""
    keep: tuple[str, ...] = ()
    """`Aptkeep::Keep`: directories and files outside the home that are kept, too."""
    keep_refused: tuple[tuple[str, str], ...] = ()
    """What `Aptkeep::Keep` can't hold, and why: it costs only itself."""
    keep_exclude: tuple[str, ...] = ()
    """Shell patterns of paths below them that aren't."""
    keep_limit: int = 1 << 30
    """Bytes that the files below them may have."""
    lock_timeout: float = 120.0
    """Seconds, from apt's own `DPkg::Lock::Timeout` where it is set."""

    @cached_property
    def _excluded(self) -> list[re.Pattern[str]]:
        return [re.compile(pattern) for pattern in self.exclude]

    def excluded(self, name: str) -> bool:
        """Whether a package is never kept: `Aptkeep::Exclude`, and aptkeep itself."""
        bare = name.partition(":")[0]
        return bare == ITSELF or any(pattern.search(bare) for pattern in self._excluded)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What was read from apt.conf(5) and the command line."""

    paths: Paths
    settings: Settings
    architecture: str
    """The native architecture."""
    options: tuple[str, ...] = ()
    """The `X=Y` of the command line, to hand on to the apt commands that we run."""


def load(options: Iterable[str] = (), *, root: str | None = None) -> Configuration:
    """Read apt's configuration, with `options` (`Aptkeep::Home=/home/x`) over it.

    `root` makes another directory the root of everything (tests). Raises UsageError for an
    option that has no `=` or a value that can't be.
    """
    try:
        apt_pkg.init_config()
    except apt_pkg.Error as error:
        raise UsageError(
            f"apt can't read its own configuration: {error}",
            details="apt itself fails, too; nothing was done",
            resolution="mend the file that apt names",
        ) from error
    apt_pkg.init_system()  # knows where dpkg keeps its status
    configuration = apt_pkg.config
    options = tuple(options)
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not name:
            raise UsageError(
                f"the option '{option}' has no value",
                resolution="write it as -o Name=value, for example -o Aptkeep::Home=/home/user",
            )
        configuration.set(name, value)
    if root is not None:
        configuration.set("Dir", root)
        configuration.set("Dir::State::status", os.path.join(root, "var/lib/dpkg/status"))
    return Configuration(_paths(configuration), _settings(configuration), _native(), options)


def sandbox_user() -> str:
    """The account as which apt fetches and verifies, and reads keys."""
    return apt_pkg.config.find("APT::Sandbox::User", "root")


def _paths(configuration: apt_pkg.Configuration) -> Paths:
    root = configuration.find_dir("Dir")
    status = configuration.find_file("Dir::State::status")
    dpkg_directory = os.path.dirname(status)
    return Paths(
        root=root,
        state=os.path.join(root, STATE_DIRECTORY),
        dpkg_directory=dpkg_directory,
        dpkg_status=status,
        extended_states=configuration.find_file("Dir::State::extended_states")
        or os.path.join(configuration.find_dir("Dir::State"), "extended_states"),
        history_log=configuration.find_file("Dir::Log::History"),
        sources_list=configuration.find_file("Dir::Etc::sourcelist"),
        sources_parts=configuration.find_dir("Dir::Etc::sourceparts").rstrip("/"),
        preferences=configuration.find_file("Dir::Etc::preferences"),
        preferences_parts=configuration.find_dir("Dir::Etc::preferencesparts").rstrip("/"),
        trusted=configuration.find_file("Dir::Etc::trusted"),
        trusted_parts=configuration.find_dir("Dir::Etc::trustedparts").rstrip("/"),
        configuration=configuration.find_file("Dir::Etc::main"),
        configuration_parts=configuration.find_dir("Dir::Etc::parts").rstrip("/"),
        credentials=configuration.find_file("Dir::Etc::netrc"),
        credentials_parts=configuration.find_dir("Dir::Etc::netrcparts").rstrip("/"),
        lists=configuration.find_dir("Dir::State::lists"),
        archives=configuration.find_dir("Dir::Cache::archives"),
        pkgcache=os.path.join(configuration.find_dir("Dir::Cache"), "pkgcache.bin"),
        os_release=os.path.join(root, "etc/os-release"),
        lock_frontend=os.path.join(dpkg_directory, "lock-frontend"),
    )


def _native() -> str:
    return apt_pkg.config.find("APT::Architecture")


def _settings(configuration: apt_pkg.Configuration) -> Settings:
    trust = configuration.find("Aptkeep::Trust", "root")
    if trust not in ("root", "signed"):
        raise UsageError(
            f'Aptkeep::Trust is "{trust}"',
            resolution='set it to "root" or "signed"',
        )
    versions = configuration.find("Aptkeep::Restore::Versions", "recorded")
    if versions not in ("recorded", "latest"):
        raise UsageError(
            f'Aptkeep::Restore::Versions is "{versions}"',
            resolution='set it to "recorded" or "latest"',
        )
    relocate = configuration.find("Aptkeep::Keys::Relocate", "copy")
    if relocate not in ("copy", "rewrite"):
        raise UsageError(
            f'Aptkeep::Keys::Relocate is "{relocate}"',
            resolution='set it to "copy" or "rewrite"',
        )
    pool_keep = configuration.find("Aptkeep::Pool::Keep", "all")
    if pool_keep not in ("all", "local", "none"):
        raise UsageError(
            f'Aptkeep::Pool::Keep is "{pool_keep}"',
            resolution='set it to "all", "local" or "none"',
        )
    exclude = _list(configuration, "Aptkeep::Exclude")
    for pattern in exclude:
        try:
            re.compile(pattern)
        except re.error as error:
            raise UsageError(
                f"Aptkeep::Exclude holds '{pattern}', which is no regular expression: {error}",
                resolution="mend it in /etc/apt/apt.conf.d",
            ) from error
    hook_timeout = _seconds(configuration, "Aptkeep::Hook::Timeout", Settings.hook_timeout)
    keep, refused = _kept(configuration)
    return Settings(
        home=configuration.find("Aptkeep::Home") or None,
        store=_store(configuration),
        latest=versions == "latest",
        exclude=exclude,
        rewrite_sources=relocate == "rewrite",
        pool_keep=pool_keep,
        pool_limit=_bytes(configuration, "Aptkeep::Pool::Max-Size", Settings.pool_limit),
        signed=trust == "signed",
        trust_key=configuration.find("Aptkeep::Trust::Key") or None,
        trust_keys=_list(configuration, "Aptkeep::Trust::Public-Keys"),
        identity=configuration.find("Aptkeep::Trust::Identity") or None,
        keep=tuple(keep),
        keep_refused=tuple(refused),
        keep_exclude=_list(configuration, "Aptkeep::Keep::Exclude"),
        keep_limit=_bytes(configuration, "Aptkeep::Keep::Max-Size", Settings.keep_limit),
        hook_timeout=min(hook_timeout, LONGEST_HOOK),
        lock_timeout=_seconds(configuration, "DPkg::Lock::Timeout", Settings.lock_timeout),
    )


def _store(configuration: apt_pkg.Configuration) -> str:
    store = configuration.find("Aptkeep::Store", Settings.store)
    parts = store.split("/")
    if store.startswith("/") or ".." in parts or not set(parts) - {"", "."}:
        raise UsageError(
            f"Aptkeep::Store is '{store}'",
            resolution="give a path relative to the home, without '..'",
        )
    return "/".join(part for part in parts if part not in ("", "."))


def _list(configuration: apt_pkg.Configuration, name: str) -> tuple[str, ...]:
    """A list, or a single value: apt takes both for its own. Named members are no part of it."""
    single = configuration.find(name)
    tags: list[str] = configuration.list(name)  # type: ignore[attr-defined] # its stub lacks it
    members = zip(tags, configuration.value_list(name), strict=True)
    values = [value for tag, value in members if tag.endswith("::")]
    return (*([single] if single else []), *values)


def _kept(configuration: apt_pkg.Configuration) -> tuple[list[str], list[tuple[str, str]]]:
    """The paths of `Aptkeep::Keep`; and what can't be one, with the reason."""
    paths, refused = [], []
    never = tuple(f"{path}/" for path in _NO_FILES.split())
    for given in _list(configuration, "Aptkeep::Keep"):
        parts = [part for part in given.split("/") if part not in ("", ".")]
        path = "/" + "/".join(parts)
        if not given.startswith("/") or ".." in parts:
            refused.append((given, "Aptkeep::Keep takes absolute paths without '..'"))
        elif path in _THE_MACHINE.split() or f"{path}/".startswith(never):
            refused.append((given, "it is the machine itself, or kept as what it is anyway"))
        elif not {"*", "?", "["}.isdisjoint(path):
            refused.append((given, "Aptkeep::Keep takes no patterns; name the directory"))
        else:
            paths.append(path)
    return paths, refused


def _bytes(configuration: apt_pkg.Configuration, name: str, default: int) -> int:
    text = configuration.find(name)
    match = re.fullmatch(r"([0-9]+)([KMGT]?)", text.upper()) if text else None
    if not text:
        return default
    if match is None:
        raise UsageError(f"{name} is '{text}'", resolution="give a size, such as 512M or 4G")
    return int(match[1]) << 10 * " KMGT".index(match[2] or " ")


def _seconds(configuration: apt_pkg.Configuration, name: str, default: float) -> float:
    text = configuration.find(name)
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        raise UsageError(f"{name} is '{text}'", resolution="give a number of seconds") from None
    if seconds != seconds:  # noqa: PLR0124 - not a number
        raise UsageError(f"{name} is '{text}'", resolution="give a number of seconds")
    return seconds if seconds >= 0 else float("inf")  # apt: -1 waits for ever
