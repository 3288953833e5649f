"""Opening a terminal as a user's, without one: its environment, and the programs in it."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass

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
_PATH_OF_OTHERS = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"

_LOGIN_SHELLS = ("bash", "zsh", "fish", "ksh", "mksh")
_ENVIRONMENT, _PROGRAMS, _END = "aptkeep-environment\n", "aptkeep-programs", "aptkeep-end"
# conda and mamba are functions in many a shell, and known by a variable alone.
LOOK = """\
PATH=$PATH${APTKEEP_PATH:+:$APTKEEP_PATH}
printf "%s\\n" aptkeep-environment
/usr/bin/env -0 -u APTKEEP_LOOK
printf "%s\\0" aptkeep-programs
for name in $APTKEEP_NAMES $CONDA_EXE $MAMBA_EXE; do
  path=$(command -v "$name") || continue
  case $path in /*) ;; *) continue ;; esac
  first=$(/usr/bin/head -c 400 "$path" | /usr/bin/head -n 1 | /usr/bin/tr -d "\\000")
  case $first in "#!"*) ;; *) first= ;; esac
  printf "%s\\0%s\\0%s\\0" "${name##*/}" "$path" "$first"
done
printf "%s\\0" aptkeep-end
"""
_OURS = ("APTKEEP_NAMES", "APTKEEP_LOOK", "APTKEEP_PATH", "_", "SHLVL", "PWD", "OLDPWD")


@dataclass(frozen=True, slots=True)
class Program:
    """A program that the user's shell would run."""

    name: str
    path: str
    interpreter: tuple[str, ...] = ()
    """The words of a script's first line: what runs it."""


def opening(shell: str) -> list[str]:
    """What opens a terminal, and runs our script in the environment that it has then."""
    script = 'exec /bin/sh -c "$APTKEEP_LOOK"'
    if os.path.basename(shell) in _LOGIN_SHELLS:
        return [shell, "-l", "-i", "-c", script]
    return ["/bin/sh", "-l", "-c", script]


def read(output: str) -> tuple[dict[str, str], dict[str, Program]] | None:
    """Environment and programs, out of all that the start of a shell may say; None without them."""
    _said, found, rest = output.rpartition(_ENVIRONMENT)
    told, ended, _rest = rest.partition(f"{_END}\0")
    environment, separated, programs = told.rpartition(f"{_PROGRAMS}\0")
    if not (found and ended and separated):
        return None
    variables = dict(line.split("=", 1) for line in environment.split("\0") if line.find("=") > 0)
    fields = programs.split("\0")
    found_programs: dict[str, Program] = {}
    for name, path, first in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        found_programs.setdefault(name, Program(name, path, words(first)))
    return {name: value for name, value in variables.items() if name not in _OURS}, found_programs


def words(first: str) -> tuple[str, ...]:
    """The words of a script's first line; none of one that is no command."""
    try:
        return tuple(shlex.split(first.removeprefix("#!")))
    except ValueError:
        return ()


def of_the_image(environment: str = "/proc/1/environ") -> dict[str, str]:
    """What every terminal inherits from the image through PID 1, as far as it concerns us."""
    found = {"PATH": _PATH_OF_OTHERS}
    try:
        with open(environment, "rb") as stream:
            lines = stream.read().decode("utf-8", "replace").split("\0")
    except OSError:
        return found
    pairs = (line.partition("=") for line in lines)
    return found | {
        name: value for name, _, value in pairs if value and _OF_THE_IMAGE.fullmatch(name)
    }
