"""A booted root: an overlay over an image's layers in private namespaces, entered by nsenter."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testbed import commands, files, mirror
from testbed.commands import PIPE, FrontedProcess, Result

HOST_NAME = "workstation"
PROXY_FILE = "/etc/apt/apt.conf.d/95testbed-proxy"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# -I and -S: start in a few milliseconds, and import nothing but the standard library and ourselves.
_HOLDER = "import sys; sys.path.insert(0, sys.argv.pop(1)); from testbed.holder import main; main()"


class BootFailed(Exception):  # noqa: N818  (reads as the fact that it states)
    """A root did not come up. The message says which mount or step failed."""


class NotBooted(Exception):  # noqa: N818  (reads as the fact that it states)
    """A root was used that is not there: never booted, stopped, or its holder was killed."""


@dataclass(frozen=True)
class Layout:
    """What a root is made of. `layers` topmost first; `upper` receives every change."""

    layers: tuple[Path, ...]
    upper: Path
    work: Path
    mount_point: Path
    binds: Mapping[Path, str] = field(default_factory=dict)
    network: bool = True
    volatile: bool = False

    def to_json(self) -> str:
        """The argument of the holder."""
        settings = {PROXY_FILE: mirror.proxy_configuration()}
        settings["/etc/resolv.conf"] = mirror.resolver_configuration()
        return json.dumps(
            {
                "layers": [os.fspath(layer) for layer in self.layers],
                "upper": os.fspath(self.upper),
                "work": os.fspath(self.work),
                "mount_point": os.fspath(self.mount_point),
                "binds": {os.fspath(source): at for source, at in self.binds.items()},
                "files": {path: content for path, content in settings.items() if content},
                "host_name": HOST_NAME,
                "network": self.network,
                "volatile": self.volatile,
            }
        )


class Root:
    """One boot of one root. Made by `boot`, gone with `stop`; the upper directory stays."""

    def __init__(self, layout: Layout, holder: FrontedProcess, pid: int) -> None:
        self.layout = layout
        self.pid = pid
        self._holder = holder
        self._running: list[FrontedProcess] = []

    @classmethod
    def boot(cls, layout: Layout) -> Root:
        """Make the mounts and leave a holder. Raises `BootFailed`."""
        # Left over from the last boot of the same upper directory; the kernel wants it empty, and
        # refuses to mount again what was mounted `volatile`.
        files.remove_tree(layout.work)
        for directory in (layout.upper, layout.work, layout.mount_point):
            directory.mkdir(parents=True, exist_ok=True)
        # `/` gets its mode from the upper directory, whatever the umask was.
        layout.upper.chmod(0o755)
        namespaces = ["--mount", "--propagation", "private", "--pid", "--ipc", "--uts"]
        holder = commands.start_fronted(
            "unshare",
            *namespaces,
            *([] if layout.network else ["--net"]),
            "--fork",
            "--kill-child=KILL",
            "--",
            *(sys.executable, "-I", "-S", "-c", _HOLDER),
            Path(__file__).parent.parent,
            layout.to_json(),
        )
        assert holder.stdout is not None
        said = holder.stdout.readline().decode().strip()
        pid = holder.inner_pid
        if said != "ready" or pid is None:
            holder.kill()
            _, stderr = holder.communicate()
            said = said or stderr.decode().strip() or "the holder said nothing"
            raise BootFailed(f"could not boot {layout.layers[0]}: {said}")
        return cls(layout, holder, pid)

    @property
    def alive(self) -> bool:
        """Whether the holder still runs."""
        return self._holder.poll() is None

    @property
    def path(self) -> Path:
        """The root's files as this machine sees them. Absolute symlinks in it lead out of it."""
        self._require_alive()
        return Path(f"/proc/{self.pid}/root")

    def run(
        self,
        *argv: str,
        check: bool = True,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        input: str | bytes | None = None,  # noqa: A002  (subprocess's own word)
        timeout: float = 600.0,
        cwd: str = "/",
    ) -> Result:
        """Run a command in the root to its end, as root or as `user`. `timeout` is in seconds.

        Raises `CommandFailed` when `check` and the code isn't 0, `CommandTimedOut` when time is
        over; then the command is killed together with its process group.
        """
        entering = self._entering(argv, user, cwd)
        environment = self._environment(user, env)
        with _speaking_of(argv):
            return commands.run(
                *entering,
                check=check,
                env=environment,
                input=input,
                timeout=timeout,
                fronted=True,
            )

    def run_tty(
        self,
        *argv: str,
        check: bool = True,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        input: str = "",  # noqa: A002  (subprocess's own word)
        timeout: float = 600.0,
        cwd: str = "/",
        rows: int = 24,
        columns: int = 80,
    ) -> Result:
        """Like `run`, with a pseudo terminal that is the command's controlling terminal.

        `stdout` is what it printed, control sequences and carriage returns included.
        """
        entering = self._entering(("setsid", "--ctty", "--wait", *argv), user, cwd)
        environment = self._environment(user, {"TERM": "xterm", **(env or {})})
        with _speaking_of(argv):
            return commands.run_tty(
                *entering,
                check=check,
                env=environment,
                input=input,
                timeout=timeout,
                fronted=True,
                rows=rows,
                columns=columns,
            )

    def popen(
        self,
        *argv: str,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        stdin: int = PIPE,
        stdout: int = PIPE,
        stderr: int = PIPE,
    ) -> FrontedProcess:
        """Start a command in the root. It dies with the root, if not before."""
        process = commands.start_fronted(
            *self._entering(argv, user, cwd),
            env=self._environment(user, env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )
        self._running.append(process)
        return process

    def pids(self) -> list[int]:
        """The processes in the root as this machine counts them, the holder first."""
        self._require_alive()
        namespace = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = [self.pid]
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != self.pid:
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{entry}/ns/pid") == namespace:
                        found.append(int(entry))
        return found

    def stop(self) -> None:
        """Kill everything in the root at once, as a power cut would, and drop its mounts."""
        # That reaches PID 1. unshare waits for it, and it for all that is in its namespace.
        self._holder.kill()
        self._holder.communicate()
        for process in self._running:
            # nsenter itself lives outside the pid namespace, but in the mount namespace, and ends
            # when the command does. Until then the upper directory may still be in use.
            process.kill_group()
            process.wait()

    def _require_alive(self) -> None:
        if not self.alive:
            raise NotBooted("the root is not booted, or its holder was killed")

    def _entering(self, argv: Sequence[str], user: str | None, cwd: str) -> list[str]:
        self._require_alive()
        words = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--ipc", "--uts"]
        # Entering a mount namespace ends in its own root: on a machine that is itself a chroot,
        # that would be the machine outside.
        words += ["--root", "--wd"]
        if not self.layout.network:
            words.append("--net")
        words.append("--")
        if user is not None and user != "root":
            words += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]
        if cwd != "/":
            words += ["env", f"--chdir={cwd}", "--"]
        return [*words, *argv]

    @staticmethod
    def _environment(user: str | None, env: Mapping[str, str] | None) -> dict[str, str]:
        base = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "TERM": "dumb"}
        if user is None or user == "root":
            base |= {"HOME": "/root", "USER": "root", "LOGNAME": "root"}
            base["DEBIAN_FRONTEND"] = "noninteractive"
        else:
            base |= {"HOME": f"/home/{user}", "USER": user, "LOGNAME": user}
        return {**base, **(env or {})}


@contextlib.contextmanager
def _speaking_of(argv: Sequence[str]) -> Iterator[None]:
    """Let a failure name the command itself rather than the nsenter in front of it."""
    try:
        yield
    except commands.CommandFailed as failed:
        result = failed.result
        failed.result = Result(tuple(argv), result.returncode, result.stdout, result.stderr)
        raise
