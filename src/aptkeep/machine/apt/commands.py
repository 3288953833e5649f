"""The command lines of apt that a restore runs. Pure: nothing is run here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FORCE_OLD_CONFFILES = ("--force-confdef", "--force-confold")
"""dpkg(1): keep the conffile that is there, and take the default where there is one."""


@dataclass(frozen=True, slots=True)
class AptGet:
    """apt-get(8) as a restore calls it."""

    options: tuple[str, ...] = ()
    """The `X=Y` of our own command line, which hold for apt too."""
    lock_timeout: float = 120.0
    """Seconds."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """The options that say which sources and lists apt uses, else its own."""

    def update(self, *, only: str | None = None) -> list[str]:
        """Fetch the package lists; `only` those of one architecture, leaving others as they are."""
        words = ["apt-get", *self._common()]
        if only is not None:
            words += [*_o("APT::Architectures", only), *_o("APT::Get::List-Cleanup", "false")]
        return [*words, "update"]

    def dselect_upgrade(
        self,
        preferences_parts: str,
        *,
        simulate: bool = False,
        recommends: bool = False,
        may_remove: bool = False,
    ) -> list[str]:
        """Carry out dpkg's selections under the pins in `preferences_parts` alone.

        `recommends`: what apt's configuration says of Recommends holds; else none are followed.
        """
        command = ["apt-get", *self._common(), "-y"]
        command += _o("Dir::Etc::Preferences", "/dev/null")
        command += _o("Dir::Etc::PreferencesParts", preferences_parts)
        if not recommends:
            command += _o("APT::Install-Recommends", "false")
        command += _o("APT::Install-Suggests", "false")
        # One package whose script fails, or whose archive is gone, must not stop the others.
        command += [*_o("DPkg::StopOnError", "false"), "--fix-missing"]
        for force in FORCE_OLD_CONFFILES:
            command += _o("Dpkg::Options::", force)
        # The user asked for these very removals and versions, and may have had to insist.
        command.append("--allow-remove-essential" if may_remove else "--no-remove")
        command.append("--allow-downgrades")
        if simulate:
            command.append("--simulate")
        return [*command, "dselect-upgrade"]

    def download(self, names: Iterable[str]) -> list[str]:
        """Download archives (`NAME=VERSION`) into the working directory."""
        return ["apt-get", *self._common(), "download", *names]

    def mark(self, names: Iterable[str], *, auto: bool) -> list[str]:
        """apt-mark(8) for these packages."""
        return ["apt-mark", *self._common(quiet=False), "auto" if auto else "manual", *names]

    def _common(self, *, quiet: bool = True) -> list[str]:
        words = ["-q"] if quiet else []
        for option in self.options:
            words += ["-o", option]
        for name, value in self.sources.items():
            words += _o(name, value)
        timeout = -1 if self.lock_timeout == float("inf") else round(self.lock_timeout)
        return [*words, *_o("DPkg::Lock::Timeout", str(timeout))]


def _o(name: str, value: str) -> list[str]:
    return ["-o", f"{name}={value}"]
