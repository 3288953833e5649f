"""R, Julia, npm, cargo, go, gem, and `./configure && make install`."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING

from aptkeep.machine.tools import advice
from aptkeep.machine.tools.answers import last_path, marked, placed, silent, text, whole
from aptkeep.machine.tools.destination import Destination, inside
from aptkeep.machine.tools.login import Program

if TYPE_CHECKING:
    from aptkeep.machine.tools.session import Session

# As install.packages decides: the first of .libPaths() or none; R_LIBS_USER is among them only if
# it's there, and only a person at a prompt is offered to make it. The site profile of aptkeep-home,
# which would make it, says so instead where APTKEEP_ASKS is set.
_R = (
    'say <- function(x) encodeString(if (is.na(x)) "" else x, quote = "\\""); '
    'lib <- getOption("aptkeep.library", .libPaths()[1L]); '
    'user <- strsplit(Sys.getenv("R_LIBS_USER"), .Platform$path.sep)[[1L]][1L]; '
    'cat("\\naptkeep {\\"path\\": ", say(lib), ", \\"user\\": ", say(user), "}\\n", sep = "")'
)
_JULIA = r'print("\naptkeep {\"path\": \"", escape_string(first(DEPOT_PATH)), "\"}\n")'
# As `gem install` decides: gemrc's options for all commands and for this one, then by itself, which
# from 3.5 on includes a look at what is writable.
_GEM = """\
require "json"
require "rubygems/gem_runner"
require "rubygems/commands/install_command"
Gem::GemRunner.new.send(:do_configuration, [])
command = Gem::Commands::InstallCommand.new
command.handle_options(Gem::Command.specific_extra_args("install") + Gem::Command.extra_args)
options = command.options
user = options[:user_install]
user = Gem.default_user_install if user.nil? && Gem.respond_to?(:default_user_install)
path = options[:install_dir] || (user ? Gem.user_dir : Gem.dir)
bin = options[:bin_dir] || Gem.bindir(path)
puts "", "aptkeep " + JSON.generate({"path" => path, "bin" => bin, "own" => Gem.user_dir})
"""
# As the beginning of every configure script does without --prefix (autoconf's AC_SITE_LOAD).
_CONFIGURE = """\
prefix=NONE exec_prefix=NONE ac_default_prefix=/usr/local
for file in ${CONFIG_SITE:-/usr/local/share/config.site /usr/local/etc/config.site}; do
  case $file in */*) ;; *) file=./$file ;; esac
  if [ -f "$file" ] && [ -r "$file" ]; then . "$file"; fi
done
[ "$prefix" != NONE ] || prefix=$ac_default_prefix
printf "\\n%s\\n" "$prefix"
"""
_SITE_FILES = ("/usr/local/share/config.site", "/usr/local/etc/config.site")


def r(session: Session, program: Program) -> list[Destination]:
    """The library that `install.packages()` takes without asking."""
    asked = "Rscript -e '.libPaths()[1]'"
    completed = session.ask(program.path, "-e", _R)
    answer = marked(completed.output)
    path = text(answer.get("path"))
    if not path:
        return [silent(session, "R", asked, completed)]
    variable = "R_LIBS" if session.environment.get("R_LIBS") else "R_LIBS_USER"
    personal = text(answer.get("user"))
    if personal.startswith("~/"):
        personal = session.directory + personal[1:]
    offers = variable == "R_LIBS_USER" and inside(personal or "/", session.directory)
    own = f"{session.directory}/R/library"
    setting = f"mkdir -p {own} && echo '{variable}={own}' >> ~/.Renviron"
    remedy = advice.command(f"mkdir -p {personal}" if offers else setting)
    told = placed(session, "R", asked, path, remedy)
    if told.path is None and offers:
        trouble = f"{told.trouble}: a script fails, at a prompt R offers to make {personal}"
        told = dataclasses.replace(told, trouble=trouble)
    return [told]


def julia(session: Session, program: Program) -> list[Destination]:
    """The first depot, in which `Pkg.add()` keeps packages, environments and what it compiles."""
    asked = "julia -e 'println(DEPOT_PATH[1])'"
    words = (program.path, "--history-file=no", "--color=no")
    # Startup files may change DEPOT_PATH. What they load is not compiled, which would be kept.
    completed = session.ask(*words, "--compiled-modules=no", "-e", _JULIA)
    if not marked(completed.output):
        completed = session.ask(*words, "--startup-file=no", "-e", _JULIA)
    path = text(marked(completed.output).get("path"))
    if not path:
        return [silent(session, "Julia", asked, completed)]
    remedy = _export(session, "JULIA_DEPOT_PATH=~/.julia:")
    return [placed(session, "Julia", asked, path, remedy)]


def npm(session: Session, program: Program) -> list[Destination]:
    """Where `npm install --global` puts packages; their commands go to `bin` above it."""
    asked = "npm root --global"
    completed = session.ask(program.path, "root", "--global")
    path = last_path(completed.output) if completed.ok else ""
    if not path:
        return [silent(session, "npm", asked, completed)]
    commands = os.path.join(os.path.dirname(os.path.dirname(path)), "bin")
    set_by = {"npm_config_prefix", "NPM_CONFIG_PREFIX"} & session.environment.keys()
    if set_by:
        remedy = _export(session, f"{min(set_by)}=~/.local")
    else:
        remedy = advice.command("npm config set prefix ~/.local")
    return [placed(session, "npm", asked, path, remedy, writes=(path, commands))]


def cargo(session: Session, program: Program) -> list[Destination]:
    """The install root: --root, CARGO_INSTALL_ROOT, install.root, CARGO_HOME, in this order."""
    asked = "RUSTC_BOOTSTRAP=1 cargo -Z unstable-options config get install.root"
    words = ("-Z", "unstable-options", "config", "get", "--format", "json-value", "install.root")
    completed = session.ask(program.path, *words)
    home = session.environment.get("CARGO_HOME") or f"{session.directory}/.cargo"
    if completed.ok:
        found = _json_text(completed.output)
        root = os.path.join(os.path.dirname(home), found) if found else ""
    elif "is not set" in completed.output:
        root = home
    else:
        root = ""
    if not root:
        return [silent(session, "cargo", asked, completed)]
    remedy = _export(session, "CARGO_INSTALL_ROOT=~/.cargo")
    return [placed(session, "cargo", asked, f"{root}/bin", remedy, writes=(f"{root}/bin", root))]


def go(session: Session, program: Program) -> list[Destination]:
    """Where `go install` puts programs."""
    asked = "go env GOBIN GOPATH"
    completed = session.ask(program.path, "env", "-json", "GOBIN", "GOPATH")
    answer = whole(completed.output)
    first = text(answer.get("GOPATH")).split(":")[0]
    path = text(answer.get("GOBIN")) or (f"{first}/bin" if first else "")
    if not path:
        return [silent(session, "go", asked, completed)]
    return [placed(session, "go", asked, path, _export(session, "GOBIN=~/go/bin"))]


def gem(session: Session, program: Program) -> list[Destination]:
    """The gem directory, or the user's own, by gemrc and by what this RubyGems does by itself."""
    asked = "gem environment"
    ruby = program.interpreter or ("ruby",)
    completed = session.ask(*ruby, "-e", _GEM)
    answer = marked(completed.output)
    path = text(answer.get("path"))
    if not path:
        return [silent(session, "gem", asked, completed)]
    if session.environment.get("GEM_HOME"):
        remedy = _export(session, f"GEM_HOME={text(answer.get('own'))}")
    else:
        remedy = advice.command("echo 'gem: --user-install' >> ~/.gemrc")
    writes = (path, text(answer.get("bin")) or path)
    return [placed(session, "gem", asked, path, remedy, writes=writes)]


def make(session: Session, _program: Program) -> list[Destination]:
    """The prefix of a configure script that is given none."""
    asked = "./configure && make install"
    site_files = [Program(path, path) for path in _SITE_FILES if os.path.exists(path)]
    if not all(session.trusts(file) for file in site_files):
        trouble = "others than root can change what configure reads here; root doesn't run that"
        return [Destination("make install", session.user, None, asked, trouble)]
    completed = session.ask("/bin/sh", "-c", _CONFIGURE)
    path = last_path(completed.output)
    if not path:
        return [silent(session, "make install", asked, completed)]
    remedy = advice.command('./configure --prefix="$HOME/.local"')
    return [placed(session, "make install", asked, path, remedy, writes=(path, f"{path}/bin"))]


def _export(session: Session, setting: str) -> str:
    return advice.export(setting, session.environment.get("SHELL", ""))


def _json_text(output: str) -> str:
    lines = output.strip().splitlines()
    try:
        return text(json.loads(lines[-1])) if lines else ""
    except ValueError:
        return ""
