"""A session as a terminal of a user's would have it: environment, programs, and asking them.

Nothing that a user could have written runs as root: as somebody else a program is asked under that
user's uid, and as root only if nobody but root could have changed it.
"""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aptkeep.machine.run import Identity, run
from aptkeep.machine.tools import login
from aptkeep.machine.tools.destination import inside
from aptkeep.machine.tools.trust import only_roots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aptkeep.machine.run import Completed
    from aptkeep.machine.tools.login import Program

SECONDS = 20.0
"""How long a program may take to answer."""

_PATH_OF_ROOT = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

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

_WRITABLE = """\
for path; do
  while [ ! -e "$path" ] && [ ! -L "$path" ]; do path=$(dirname -- "$path"); done
  [ -d "$path" ] && [ -w "$path" ] || exit 1
done
"""


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
        return all(only_roots(path) for path in (program.path, *found))


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
            ["/bin/sh", "-c", login.LOOK],
            environment={**os.environ, "APTKEEP_NAMES": " ".join(names)},
            timeout=SECONDS,
        )
        _environment, programs = login.read(told.output) or ({}, {})
        directory = os.environ.get("HOME") or account.pw_dir
        return Session(account.pw_name, directory, home, None, dict(os.environ), programs)
    identity = None
    if account.pw_uid != 0:
        groups = os.getgrouplist(account.pw_name, account.pw_gid)
        identity = Identity(account.pw_uid, account.pw_gid, tuple(groups))
    image = {"PATH": _PATH_OF_ROOT} if identity is None else login.of_the_image()
    given = {
        **image,
        "HOME": account.pw_dir,
        "USER": account.pw_name,
        "LOGNAME": account.pw_name,
        "SHELL": account.pw_shell or "/bin/sh",
        "TERM": "dumb",
        "TMPDIR": "/tmp",  # noqa: S108 - what a login has; ours may be root's own
    }
    # A login begins a PATH anew, but not every terminal is one: the image's comes last, at least.
    asking = {
        **given,
        "APTKEEP_NAMES": " ".join(names),
        "APTKEEP_PATH": image["PATH"],
        "APTKEEP_LOOK": login.LOOK,
    }
    plain = ["/bin/sh", "-c", login.LOOK]
    for argv in (plain if identity is None else login.opening(account.pw_shell), plain):
        told = _run(argv, asking, account.pw_dir, identity)
        looked = login.read(told.output)
        if looked is not None:
            return Session(account.pw_name, account.pw_dir, home, identity, *looked)
    return Session(account.pw_name, account.pw_dir, home, identity, given, {})


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
