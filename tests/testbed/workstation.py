"""A workstation that keeps nothing but its home: boot, use, stop, boot again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from testbed import files
from testbed.commands import PIPE, FrontedProcess, Result
from testbed.images import HOME, USER, Image
from testbed.root import Layout, NotBooted, Root

_USER_ID = 1000


class Workstation:
    """A machine whose root comes fresh from an image at every boot and whose home stays.

    `home` is a directory of this machine and stands for the persistent volume; it is mounted at
    /home/bench-user. Without one, `scratch`/home is made. Everything else lies below `scratch`
    and goes when the workstation is left as a context manager; the home stays.
    """

    def __init__(
        self, image: Image, *, home: Path | None = None, scratch: Path, user: str = USER
    ) -> None:
        self.image = image
        self.user = user
        self.user_home = HOME
        scratch.mkdir(parents=True, exist_ok=True)
        self.home = home or scratch / "home"
        if not self.home.exists():
            self.home.mkdir(parents=True)
            self.home.chmod(0o755)
            os.chown(self.home, _USER_ID, _USER_ID)
        self._directory = Path(tempfile.mkdtemp(prefix="root-", dir=scratch))
        self._root: Root | None = None

    def __enter__(self) -> Workstation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def booted(self) -> bool:
        """Whether there is a root at the moment."""
        return self._root is not None and self._root.alive

    @property
    def root(self) -> Path:
        """The root's files as this machine sees them, /proc/PID/root.

        Absolute symlinks in it lead out of it: read, write and look through the methods below.
        """
        return self._booted().path

    def boot(
        self,
        image: Image | None = None,
        *,
        network: bool = True,
        setup: Sequence[Sequence[str]] = (),
        volatile: bool = True,
    ) -> Workstation:
        """Make a fresh root, from `image` from now on if one is given, and run `setup` in it.

        With network the root shares this machine's, 127.0.0.1 included; without, it has a loopback
        interface of its own and nothing else. `volatile` lets the root ignore fsync: nothing here
        survives a crash of this machine anyway. Raises `BootFailed`, `CommandFailed`.
        """
        if self.booted:
            raise RuntimeError("already booted: stop it first")
        self.image = image or self.image
        self.kill()
        self._start(network=network, volatile=volatile)
        for command in setup:
            self.run(*command)
        return self

    def reboot(self, *, network: bool | None = None) -> Workstation:
        """Cut the power and boot again with the same root: what it held is kept.

        But for /run, /tmp and /dev, which never lie on a disk.
        """
        layout = self._booted().layout
        network = layout.network if network is None else network
        self._stop()
        self._start(network=network, volatile=layout.volatile)
        return self

    def stop(self, *, record: bool = False) -> None:
        """Throw the root away; with `record`, run `aptkeep record` before, as at a shutdown."""
        if record:
            self.run("aptkeep", "record")
        self._stop()
        self._discard()

    def kill(self) -> None:
        """Cut the power: everything ends at once, the root is thrown away."""
        self._stop()
        self._discard()

    def close(self) -> None:
        """Cut the power and leave nothing behind but the home. May be called twice."""
        self._stop()
        files.remove_tree(self._directory)

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
        """Run a command to its end, as root or as `user`. `timeout` is in seconds.

        The environment is clean but for `env`. Raises `CommandFailed` when `check` and the code
        isn't 0, `CommandTimedOut` when time is over.
        """
        return self._booted().run(
            *argv, check=check, user=user, env=env, input=input, timeout=timeout, cwd=cwd
        )

    def sh(
        self,
        script: str,
        *,
        check: bool = True,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        input: str | bytes | None = None,  # noqa: A002  (subprocess's own word)
        timeout: float = 600.0,
        cwd: str = "/",
    ) -> Result:
        """`run` for `sh -ec SCRIPT`."""
        return self._booted().run(
            *("sh", "-ec", script),
            check=check,
            user=user,
            env=env,
            input=input,
            timeout=timeout,
            cwd=cwd,
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
        """`run` on a terminal of its own; `stdout` is all that was printed, control codes too."""
        return self._booted().run_tty(
            *argv,
            check=check,
            user=user,
            env=env,
            input=input,
            timeout=timeout,
            cwd=cwd,
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
        """Start a command in the background. Signals to it reach the command itself."""
        return self._booted().popen(
            *argv, user=user, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr
        )

    def pids(self) -> list[int]:
        """The processes in the root as this machine counts them, its PID 1 first."""
        return self._booted().pids()

    def read_bytes(self, path: str) -> bytes:
        """The content of a file, symlinks resolved as inside the root."""
        with files.opened_root(self.root) as root:
            return files.read(root, path)

    def read_text(self, path: str) -> str:
        """The content of a UTF-8 file, symlinks resolved as inside the root."""
        return self.read_bytes(path).decode()

    def write(
        self, path: str, content: str | bytes, mode: int = 0o644, *, user: str | None = None
    ) -> None:
        """Write a file, owned by root unless `user` (the workstation's) is given.

        Missing directories are made with 0755 and the same owner.
        """
        text = content.encode() if isinstance(content, str) else content
        with files.opened_root(self.root) as root:
            files.write(root, path, text, mode, self._owner(user))

    def copy_in(self, host_path: Path, path: str, *, user: str | None = None) -> None:
        """Copy a file or directory of this machine to exactly `path`, modes kept."""
        with files.opened_root(self.root) as root:
            files.copy_in(root, host_path, path, self._owner(user))

    def exists(self, path: str) -> bool:
        """Whether `path` leads to anything inside the root."""
        with files.opened_root(self.root) as root:
            return files.exists(root, path)

    def stat(self, path: str) -> os.stat_result:
        """Owner, mode and the like of what `path` leads to inside the root."""
        with files.opened_root(self.root) as root:
            return files.status(root, path)

    def _owner(self, user: str | None) -> tuple[int, int]:
        if user in (None, "root"):
            return (0, 0)
        if user != self.user:
            raise ValueError(f"no user {user} here")
        return (_USER_ID, _USER_ID)

    def _booted(self) -> Root:
        if self._root is None:
            raise NotBooted("the workstation is not booted")
        return self._root

    def _start(self, *, network: bool, volatile: bool) -> None:
        self._root = Root.boot(
            Layout(
                layers=self.image.layers,
                upper=self._directory / "upper",
                work=self._directory / "work",
                mount_point=self._directory / "mount",
                binds={self.home: self.user_home},
                network=network,
                volatile=volatile,
            )
        )

    def _stop(self) -> None:
        root, self._root = self._root, None
        if root is not None:
            root.stop()

    def _discard(self) -> None:
        for name in ("upper", "work"):
            files.remove_tree(self._directory / name)
