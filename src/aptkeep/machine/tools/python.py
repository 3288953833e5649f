"""pip, pipx, conda and mamba: programs in Python are asked by their own functions.

Their commands would make directories or need a package to look for; what they decide with doesn't.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aptkeep.machine.tools import advice
from aptkeep.machine.tools.answers import marked, placed, silent, text, texts, whole

if TYPE_CHECKING:
    from aptkeep.machine.run import Completed
    from aptkeep.machine.tools.destination import Destination
    from aptkeep.machine.tools.login import Program
    from aptkeep.machine.tools.session import Session

# In the order in which pip's InstallCommand.run decides: options out of pip.conf and the
# environment, PEP 668, then user site or not, which includes its look at what is writable.
_PIP = """\
import json, os
from pip._internal.commands import create_command
from pip._internal.commands.install import decide_user_install
from pip._internal.locations import get_scheme
from pip._internal.utils import misc
from pip._internal.utils.virtualenv import running_under_virtualenv
options, _ = create_command("install").parse_args(["any"])
path, refused = "", ""
here = not (options.root_path or options.target_dir or options.prefix_path)
override = getattr(options, "override_externally_managed", False)
try:
    if getattr(options, "require_venv", False) and not running_under_virtualenv():
        refused = "pip is told to install into virtual environments only"
    elif here and not override and hasattr(misc, "check_externally_managed"):
        misc.check_externally_managed()
    user = decide_user_install(
        options.use_user_site, prefix_path=options.prefix_path, target_dir=options.target_dir,
        root_path=options.root_path, isolated_mode=options.isolated_mode)
    path = os.path.abspath(options.target_dir or get_scheme(
        "any", user=user, root=options.root_path, prefix=options.prefix_path).purelib)
except Exception as error:
    refused = "pip refuses: " + (getattr(error, "reference", "") or str(error))
print("\\naptkeep " + json.dumps({"path": path, "refused": refused}))
"""
_PIPX = """\
import json
try:
    from pipx.paths import ctx
    path, bin = ctx.venvs, ctx.bin_dir
except ImportError:
    from pipx.constants import PIPX_LOCAL_VENVS as path, LOCAL_BIN_DIR as bin
print("\\naptkeep " + json.dumps({"path": str(path), "bin": str(bin)}))
"""
_CONDA = """\
import json
from conda.base.context import context
context.__init__()
print("\\naptkeep " + json.dumps(
    {"env location": context.default_prefix, "envs directories": list(context.envs_dirs),
     "base environment": context.root_prefix}))
"""


def pip(session: Session, program: Program) -> list[Destination]:
    """The `pip` on PATH, whichever Python is behind it."""
    asked = "pip --version; pip config list"
    completed = _in_python(session, program, _PIP)
    answer = marked(completed.output)
    path, refused = text(answer.get("path")), text(answer.get("refused"))
    if not (path or refused):
        return [silent(session, "pip", asked, completed)]
    remedy = advice.command("python3 -m venv ~/.venv && . ~/.venv/bin/activate")
    return [placed(session, "pip", asked, path, remedy, refused=refused)]


def pipx(session: Session, program: Program) -> list[Destination]:
    """Where pipx keeps its environments."""
    asked = "pipx environment"
    completed = _in_python(session, program, _PIPX)
    answer = marked(completed.output)
    path = text(answer.get("path"))
    if not path:
        return [silent(session, "pipx", asked, completed)]
    shell = session.environment.get("SHELL", "")
    setting = "PIPX_HOME=~/.local/share/pipx PIPX_BIN_DIR=~/.local/bin"
    remedy = advice.export(setting, shell)
    writes = (path, text(answer.get("bin")))
    return [placed(session, "pipx", asked, path, remedy, writes=writes)]


def conda(session: Session, program: Program) -> list[Destination]:
    """The environment in use, and where new ones go: conda, mamba 1."""
    completed = _in_python(session, program, _CONDA)
    return _environments(session, program.name, completed, marked(completed.output))


def mamba(session: Session, program: Program) -> list[Destination]:
    """The same for mamba, which is no longer in Python from version 2 on, and micromamba."""
    if _is_python(program.interpreter):
        return conda(session, program)
    completed = session.ask(program.path, "info", "--json")
    return _environments(session, program.name, completed, whole(completed.output))


def _environments(
    session: Session, tool: str, completed: Completed, answer: dict[str, object]
) -> list[Destination]:
    asked = f"{tool} info"
    prefix, directories = text(answer.get("env location")), texts(answer.get("envs directories"))
    if not (os.path.isabs(prefix) and directories):
        return [silent(session, tool, asked, completed)]
    own = "~/.conda/envs/work"
    activate = f"{tool} activate {own}"
    if "CONDA_SHLVL" not in session.environment:  # the shell doesn't know how to
        base = text(answer.get("base environment"))
        hook = f'eval "$({tool} shell hook --shell bash)" && {activate}'
        activate = f". {base}/bin/activate {own}" if tool == "conda" else hook
    use = f"{tool} create --yes --prefix {own} && {activate}"
    # What is not to be changed says so by this file (conda's CEP 22).
    frozen = os.path.exists(os.path.join(prefix, "conda-meta", "frozen"))
    refused = f"{prefix} is frozen: {tool} installs into other environments only" if frozen else ""
    writable = [directory for directory in directories if session.writable(directory)]
    first = writable[0] if writable else directories[0]
    set_first = advice.command(f"{tool} config --prepend envs_dirs ~/.conda/envs")
    if tool != "conda":
        set_first = advice.command(f"{tool} config prepend envs_dirs ~/.conda/envs")
    return [
        placed(session, tool, asked, prefix, use, refused=refused),
        placed(session, f"{tool} create", asked, first, set_first),
    ]


def _in_python(session: Session, program: Program, code: str) -> Completed:
    """Run `code` in the Python that runs `program`."""
    words = program.interpreter
    if not _is_python(words):
        # A path too long for a first line, or a shim: its Python lies beside it.
        beside = os.path.join(os.path.dirname(program.path), "python3")
        words = (beside if os.path.exists(beside) else "python3",)
    return session.ask(*words, "-B", "-c", code)


def _is_python(words: tuple[str, ...]) -> bool:
    return any("python" in os.path.basename(word) for word in words)
