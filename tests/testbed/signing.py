"""OpenPGP keys that sign local repositories."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from testbed import commands
from testbed.commands import Result

_LONGEST_DEATH = 5.0  # seconds
_LONGEST_HOME = 80  # bytes; a socket's path, which gpg-agent's is, may have 107


@dataclass(frozen=True)
class SigningKey:
    """A secret key without passphrase in a GNUPGHOME of its own.

    No gpg-agent stays behind: each use ends with the end of its agent. With a `clock`, such as
    `20200101T000000`, the key was made at that moment, and makes all its signatures then.
    """

    home: Path
    user_id: str
    fingerprint: str
    clock: str | None = None

    @classmethod
    def generate(
        cls,
        directory: Path,
        user_id: str = "aptkeep testbed <testbed@example.invalid>",
        *,
        algorithm: str = "ed25519",
        expires: str = "never",
        clock: str | None = None,
    ) -> SigningKey:
        """Make a key below `directory`. About 0.1 s for ed25519, 0.5 s for rsa3072.

        `expires` is in gpg's words: `never`, `1d`, `seconds=5`, an ISO date.
        """
        number = len(list(directory.glob("key*"))) if directory.exists() else 0
        home = directory / f"key{number}"
        if len(str(home)) > _LONGEST_HOME:
            raise ValueError(f"too long for the sockets of gpg-agent: {home}")
        home.mkdir(parents=True, mode=0o700)
        _gpg(home, clock, "--quick-generate-key", user_id, algorithm, "sign", expires)
        listed = _gpg(home, clock, "--list-keys", "--with-colons").lines
        fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr:"))
        return cls(home, user_id, fingerprint, clock)

    def public(self, *, armored: bool = True) -> bytes:
        """The public key, as apt wants it in a `.asc` (armored) or a `.gpg` file (binary)."""
        target = self.home / f"public.{'asc' if armored else 'gpg'}"
        if not target.exists():
            options = ("--armor",) if armored else ()
            _gpg(
                self.home,
                self.clock,
                *options,
                "--output",
                str(target),
                "--export",
                self.fingerprint,
            )
        return target.read_bytes()

    def sign(self, release: Path) -> None:
        """Write `InRelease` and `Release.gpg` beside a `Release` file."""
        inline, detached = release.with_name("InRelease"), release.with_name("Release.gpg")
        _gpg(self.home, self.clock, "--output", str(inline), "--clear-sign", str(release))
        _gpg(
            self.home,
            self.clock,
            "--armor",
            "--output",
            str(detached),
            "--detach-sign",
            str(release),
        )


def _gpg(home: Path, clock: str | None, *arguments: str) -> Result:
    environment = commands.environment({"GNUPGHOME": str(home)})
    if clock is not None:
        arguments = ("--faked-system-time", clock, *arguments)
    try:
        return commands.run(
            *("gpg", "--batch", "--yes", "--quiet", "--no-tty", "--pinentry-mode", "loopback"),
            *("--passphrase", "", "--digest-algo", "SHA512", *arguments),
            env=environment,
        )
    finally:
        commands.run("gpgconf", "--kill", "gpg-agent", check=False, env=environment)
        # It takes its time, and the next gpg must not find it dying.
        deadline = time.monotonic() + _LONGEST_DEATH
        while (home / "S.gpg-agent").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
