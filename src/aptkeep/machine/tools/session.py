"""A session as a terminal of a user's would have it: environment, programs, and asking them.

Nothing that a user could have written runs as root: as somebody else a program is asked under that
user's uid, and as root only if nobody but root could have changed it.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aptkeep.machine.run import Identity, run
from aptkeep.machine.tools.destination import inside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aptkeep.machine.run import Completed

SECONDS = 20.0
"""How long a program may take to answer."""

# What a terminal in a container inherits from the image's ENV, through PID 1, and what decides
# where installations go. No more of it: it may hold secrets that the user was not given.
_OF_THE_IMAGE = re.compile(
    "PATH|LANG|XDG_(CONFIG|DATA)_HOME|VIRTUAL_ENV|CONFIG_SITE"
    "|PIP_(BREAK_SYSTEM_PACKAGES|CONFIG_FILE|PREFIX|REQUIRE_VIRTUALENV|ROOT|TARGET|USER)"
    "|PYTHON(NOUSERSITE|USERBASE)|PIPX_(BIN_DIR|HOME)"
    "|CONDARC|CONDA_(DEFAULT_ENV|ENVS_DIRS|ENVS_PATH|EXE|PREFIX|SHLVL)"
    "|MAMBARC|MAMBA_(EXE|ROOT_PREFIX)"
    "|R_LIBS(_SITE|_USER)?|R_(ENVIRON|PROFILE)(_USER)?|JULIA_DEPOT_PATH"
    "|NPM_CONFIG_(GLOBALCONFIG|PREFIX|USERCONFIG)|npm_config_(globalconfig|prefix|userconfig)"
    "|CARGO_(HOME|INSTALL_ROOT)|RUSTUP_HOME|GO(BIN|ENV|PATH|ROOT)|GEMRC|GEM_(HOME|PATH)"
)
_PATH_OF_ROOT = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PATH_OF_OTHERS = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"

# Tools that leave something in the home by merely being asked are told not to: logs and the cache
# of npm, the counters of go, the byte code of Python, the library that aptkeep-home lets R make.
# Neither go nor rustup downloads another version of itself.
_QUIET = {
    "APTKEEP_ASKS": "1",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "npm_config_cache": "/dev/null/npm",
    "npm_config_logs_max": "0",
    "npm_config_update_notifier": "false",
    "TEST_TELEMETRY_DIR": "/dev/null/go",
    "GOTOOLCHAIN": "local",
    "RUSTUP_AUTO_INSTALL": "0",
    "RUSTC_BOOTSTRAP": "1",
}

_LOGIN_SHELLS = ("bash", "zsh", "fish", "ksh", "mksh")
_ENVIRONMENT, _PROGRAMS, _END = "aptkeep-environment\n", "aptkeep-programs", "aptkeep-end"
_LOOK = """\
printf "%s\\n" aptkeep-environment
/usr/bin/env -0 -u APTKEEP_LOOK
printf "%s\\0" aptkeep-programs
for name in $APTKEEP_NAMES; do
  path=$(command -v "$name") || continue
  case $path in /*) ;; *) continue ;; esac
  first=$(/usr/bin/head -c 400 "$path" | /usr/bin/head -n 1 | /usr/bin/tr -d "\\000")
  case $first in "#!"*) ;; *) first= ;; esac
  printf "%s\\0%s\\0%s\\0" "$name" "$path" "$first"
done
printf "%s\\0" aptkeep-end
"""
_OURS = ("APTKEEP_NAMES", "APTKEEP_LOOK", "_", "SHLVL", "PWD", "OLDPWD")

_WRITABLE = """\
for path; do
  while [ ! -e "$path" ] && [ ! -L "$path" ]; do path=$(dirname -- "$path"); done
  [ -d "$path" ] && [ -w "$path" ] || exit 1
done
"""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that the user's shell would run."""

    name: str
    path: str
    interpreter: tuple[str, ...] = ()
    """The words of a script's first line: what runs it."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a terminal of this user's has."""

    user: str
    directory: str
    """The user's own home, which isn't *the* home for root."""
    home: str
    """The home, which survives."""
    identity: Identity | None
    environment: Mapping[str, str]
    programs: Mapping[str, Program]

    def ask(self, *argv: str) -> Completed:
        """What a command says to this user. It's run in the user's home, without a terminal."""
        return _run(argv, {**self.environment, **_QUIET}, self.directory, self.identity)

    @property
    def at_home(self) -> bool:
        """Whether this user's own home survives: root's doesn't."""
        return inside(self.directory, self.home)

    def writable(self, *paths: str) -> bool:
        """Whether the user can write in all these directories, or make those not there yet."""
        return self.ask("/bin/sh", "-c", _WRITABLE, "sh", *paths).ok

    def trusts(self, program: Program) -> bool:
        """Whether the program may be run: root runs only what nobody else could have changed."""
        if self.identity is not None or os.geteuid() != 0:
            return True
        behind = program.interpreter[:1]
        if behind and os.path.basename(behind[0]) == "env":
            behind = program.interpreter[:2]
        path = self.environment.get("PATH")
        found = [shutil.which(word, path=path) or word for word in behind]
        return all(_only_roots(path) for path in (program.path, *found))


def open_session(home: str, user: str, names: Sequence[str]) -> Session | None:
    """The session of a user, with those of the programs `names` that are there.

    Root asks as anybody in the environment of a login, and as itself in the one that sudo gives,
    without anybody's start-up files; who isn't root asks in the environment that it has. None for a
    user that doesn't exist.
    """
    uid = os.geteuid()
    try:
        account = pwd.getpwnam(user) if uid == 0 else pwd.getpwuid(uid)
    except KeyError:
        return None
    if uid != 0:
        told = run(
            ["/bin/sh", "-c", _LOOK],
            environment={**os.environ, "APTKEEP_NAMES": " ".join(names)},
            timeout=SECONDS,
        )
        _environment, programs = _look(told.output) or ({}, {})
        directory = os.environ.get("HOME") or account.pw_dir
        return Session(account.pw_name, directory, home, None, dict(os.environ), programs)
    identity = None
    if account.pw_uid != 0:
        groups = os.getgrouplist(account.pw_name, account.pw_gid)
        identity = Identity(account.pw_uid, account.pw_gid, tuple(groups))
    given = {
        **({"PATH": _PATH_OF_ROOT} if identity is None else _of_the_image()),
        "HOME": account.pw_dir,
        "USER": account.pw_name,
        "LOGNAME": account.pw_name,
        "SHELL": account.pw_shell or "/bin/sh",
        "TERM": "dumb",
        "TMPDIR": "/tmp",  # noqa: S108 - what a login has; ours may be root's own
    }
    asking = {**given, "APTKEEP_NAMES": " ".join(names), "APTKEEP_LOOK": _LOOK}
    plain = ["/bin/sh", "-c", _LOOK]
    for argv in (plain if identity is None else _login(account.pw_shell), plain):
        told = _run(argv, asking, account.pw_dir, identity)
        looked = _look(told.output)
        if looked is not None:
            return Session(account.pw_name, account.pw_dir, home, identity, *looked)
    return Session(account.pw_name, account.pw_dir, home, identity, given, {})


def _login(shell: str) -> list[str]:
    """What opens a terminal, and runs our script in the environment that it has then."""
    script = 'exec /bin/sh -c "$APTKEEP_LOOK"'
    if os.path.basename(shell) in _LOGIN_SHELLS:
        return [shell, "-l", "-i", "-c", script]
    return ["/bin/sh", "-l", "-c", script]


def _look(output: str) -> tuple[dict[str, str], dict[str, Program]] | None:
    """Environment and programs, out of all that the start of a shell may say; None without them."""
    _said, found, rest = output.rpartition(_ENVIRONMENT)
    told, ended, _rest = rest.partition(f"{_END}\0")
    environment, separated, programs = told.rpartition(f"{_PROGRAMS}\0")
    if not (found and ended and separated):
        return None
    variables = dict(line.split("=", 1) for line in environment.split("\0") if line.find("=") > 0)
    fields = programs.split("\0")
    return (
        {name: value for name, value in variables.items() if name not in _OURS},
        {
            name: Program(name, path, _words(first))
            for name, path, first in zip(fields[::3], fields[1::3], fields[2::3], strict=False)
        },
    )


def _words(first: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(first.removeprefix("#!")))
    except ValueError:
        return ()


def _run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    directory: str,
    identity: Identity | None,
) -> Completed:
    where = directory if os.path.isdir(directory) else "/"
    # Changed to as the user: root may enter directories that the user may not.
    argv = ("/usr/bin/env", f"--chdir={where}", "--", *argv)
    return run(argv, environment=environment, identity=identity, timeout=SECONDS)


def _of_the_image() -> dict[str, str]:
    found = {"PATH": _PATH_OF_OTHERS}
    try:
        with open("/proc/1/environ", "rb") as stream:
            lines = stream.read().decode("utf-8", "replace").split("\0")
    except OSError:
        return found
    pairs = (line.partition("=") for line in lines)
    return found | {
        name: value for name, _, value in pairs if value and _OF_THE_IMAGE.fullmatch(name)
    }


_STAFF = 50
"""Debian's group for /usr/local, which can become root by it (policy 9.1.2)."""


def _only_roots(path: str) -> bool:
    """Whether nobody but root could put another file there, on the way or behind its links."""
    seen = set()
    waiting = [path]
    while waiting:
        path = os.path.normpath(waiting.pop())
        if path in seen:
            continue
        seen.add(path)
        above = os.path.dirname(path)
        if path != "/":
            waiting.append(above)
        try:
            status = os.lstat(path)
            mode = status.st_mode
            if stat.S_ISLNK(mode):
                waiting.append(os.path.join(os.path.realpath(above), os.readlink(path)))
                mode = 0
        except OSError:
            return False
        others = mode & stat.S_IWOTH or (mode & stat.S_IWGRP and status.st_gid not in {0, _STAFF})
        if status.st_uid != 0 or others:
            return False
    return True
