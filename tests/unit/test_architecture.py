"""The house: who may know whom, which room holds what. Read off the imports, nothing is run.

    cli, hook → restore, revise, doctor → review → record → relocate, repositories
              → merge, adapt, plan, compare, machine, store → model, errors, files, words

An import counts wherever it stands: at the top, in a function, for annotations alone.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import aptkeep

PACKAGE = Path(aptkeep.__file__).parent


@dataclass(frozen=True)
class Import:
    """One import of one module."""

    importer: str
    imported: str
    line: int
    at_once: bool
    """Whether it's carried out when the importer is imported."""

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def _modules() -> dict[str, ast.Module]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


MODULES = _modules()


def _nodes(node: ast.AST, *, at_once: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below, and whether it's carried out when the module is imported."""
    for child in ast.iter_child_nodes(node):
        inside = at_once
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            inside = False
        if (
            isinstance(node, ast.If)
            and child in node.body
            and "TYPE_CHECKING" in ast.unparse(node.test)
        ):
            inside = False
        yield child, inside
        yield from _nodes(child, at_once=inside)


def _imports(name: str) -> Iterator[Import]:
    for node, at_once in _nodes(MODULES[name], at_once=True):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, alias.name, node.lineno, at_once)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: relative imports hide the arrows"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                imported = whole if whole in MODULES else node.module
                yield Import(name, imported, node.lineno, at_once)


IMPORTS = [found for name in MODULES for found in _imports(name)]
OURS = [found for found in IMPORTS if found.imported.split(".")[0] == "aptkeep"]
OTHERS = [found for found in IMPORTS if found.imported.split(".")[0] != "aptkeep"]


def _room(module: str) -> str:
    """The room of a module: `machine`, `store`, `cli`, or its own name."""
    return module.removeprefix("aptkeep").lstrip(".").partition(".")[0]


# From bottom to top. A room knows the layers below it, and itself.
LAYERS = (
    {"", "model", "errors", "words"},  # "" is the package itself: its version
    {"files", "surroundings"},
    {"merge", "adapt", "plan", "compare", "machine", "store"},
    {"nodes"},
    {"at_home", "looking"},
    {"relocate", "repositories", "supply", "catch", "keeping", "tree_back"},
    {"record"},
    {"review", "collect", "pooling"},
    {"put_back", "explain", "upkeep", "snapshots"},
    {"packages_back"},
    {"restore", "revise", "doctor"},
    {"cli", "hook"},
    {"__main__"},
)


def _layer(module: str) -> int:
    return next(number for number, rooms in enumerate(LAYERS) if _room(module) in rooms)


def test_every_module_has_its_place() -> None:
    """A new room is entered into LAYERS, on purpose."""
    assert {_room(module) for module in MODULES} <= set().union(*LAYERS)


def test_every_room_is_there() -> None:
    assert set().union(*LAYERS) == {_room(module) for module in MODULES}


def test_imports_run_downward_only() -> None:
    wrong = [
        str(found)
        for found in OURS
        if _room(found.importer) != _room(found.imported)
        and _layer(found.imported) >= _layer(found.importer)
    ]
    assert wrong == []


@pytest.mark.parametrize(("one", "other"), [("machine", "store"), ("store", "machine")])
def test_machine_and_store_do_not_know_each_other(one: str, other: str) -> None:
    assert [
        str(found)
        for found in OURS
        if _room(found.importer) == one and _room(found.imported) == other
    ] == []


def test_the_model_knows_nothing_of_ours() -> None:
    bottom = {"aptkeep.model", "aptkeep.errors", "aptkeep.words", "aptkeep"}
    assert [str(found) for found in OURS if found.importer in bottom] == []


# -- the store, where no path is believed

_BY_PATH = {"walk", "makedirs", "realpath", "isdir", "isfile", "islink", "exists", "lexists"}
_RELATIVE = {
    f"os.{name}"
    for name in (
        "open",
        "stat",
        "mkdir",
        "unlink",
        "rename",
        "link",
        "symlink",
        "readlink",
        "chmod",
    )
}


# Where the home is, and keys, which must not be in it.
_OUTSIDE_THE_STORE = {"aptkeep.store.home", "aptkeep.store.seal"}


@pytest.mark.parametrize(
    "module", [n for n in MODULES if _room(n) == "store" and n not in _OUTSIDE_THE_STORE]
)
def test_the_store_opens_nothing_by_its_path(module: str) -> None:
    """What is below the home is opened relative to a descriptor, one name at a time."""
    wrong = []
    for node, _at_once in _nodes(MODULES[module], at_once=True):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        called = ast.unparse(node.func)
        relative = {keyword.arg for keyword in node.keywords} & {"dir_fd", "src_dir_fd"}
        by_path = called.startswith("os.") and node.func.attr in _BY_PATH
        if by_path or (called in _RELATIVE and not relative):
            wrong.append(f"{module}:{node.lineno}: {called}")
    assert wrong == []


# -- rooms of heavy dependencies

HEAVY = {
    "apt": (),
    "apt_inst": ("aptkeep.machine.apt.debfile",),
    "apt_pkg": ("aptkeep.machine",),
    "click": ("aptkeep.cli",),
    "concurrent": ("aptkeep.machine.tools",),  # threads that wait for processes
    "cryptography": ("aptkeep.store.seal",),
    "debian": (),
    "jsonschema": ("aptkeep.store.format.validate",),
    "subprocess": ("aptkeep.machine.run",),
    "multiprocessing": (),
    "threading": (),
    "socket": (),
    "yaml": (),
}


@pytest.mark.parametrize("dependency", HEAVY)
def test_a_heavy_dependency_has_one_room(dependency: str) -> None:
    rooms = HEAVY[dependency]
    assert [
        str(found)
        for found in OTHERS
        if found.imported.split(".")[0] == dependency
        and not any(f"{found.importer}.".startswith(f"{room}.") for room in rooms)
    ] == []


def test_nothing_else_from_outside_the_standard_library() -> None:
    known = {*sys.stdlib_module_names, *HEAVY}
    assert {f.imported.split(".")[0] for f in OTHERS} <= known


# -- the hook

_NEVER_IN_A_HOOK = {"subprocess", "asyncio", "multiprocessing", "importlib.resources", "logging"}


def _at_once(start: str) -> dict[str, Import]:
    """Every module that importing `start` imports, ours and others, and by which import."""
    found: dict[str, Import] = {}
    waiting = [start]
    while waiting:
        module = waiting.pop()
        parts = module.split(".")
        reached = [found_ for found_ in IMPORTS if found_.importer == module and found_.at_once]
        reached += [  # a module's packages are imported before it
            Import(module, ".".join(parts[:end]), 0, at_once=True) for end in range(1, len(parts))
        ]
        for one in reached:
            if one.imported not in found:
                found[one.imported] = one
                if one.imported in MODULES:
                    waiting.append(one.imported)
    return found


def test_the_hook_imports_the_standard_library_and_apt_pkg_only() -> None:
    allowed = {*sys.stdlib_module_names, "apt_pkg", "aptkeep"}
    reached = _at_once("aptkeep.hook")
    assert "aptkeep.machine.apt.paragraphs" in reached  # the search does find what is far away
    assert [str(by) for name, by in reached.items() if name.split(".")[0] not in allowed] == []


def test_the_hook_imports_nothing_that_starts_processes_or_takes_long() -> None:
    reached = _at_once("aptkeep.hook")
    assert [str(by) for name, by in reached.items() if name in _NEVER_IN_A_HOOK] == []
    slow = {"aptkeep.cli", "aptkeep.restore", "aptkeep.machine.run", "aptkeep.machine.apt.archive"}
    assert [str(by) for name, by in reached.items() if name in slow] == []


def test_what_every_apt_run_waits_for_imports_next_to_nothing() -> None:
    """Of ours two modules; of the standard library what is there anyway, or takes no time."""
    reached = set(_at_once("aptkeep.catch"))
    ours = {name for name in reached if name.split(".")[0] == "aptkeep"}
    assert ours == {"aptkeep", "aptkeep.machine", "aptkeep.machine.incoming"}
    quick = {"contextlib", "dataclasses", "errno", "os", "re", "shutil", "stat", "sys", "time"}
    assert reached - ours <= quick | {"__future__", "typing"}


def test_what_only_some_hooks_need_is_not_imported_by_all() -> None:
    """`hook` imports it where there is something to pool, or something left to do."""
    later = {"pooling", "upkeep", "collect", "supply", "machine.apt.debfile", "store.pool"}
    assert not {f"aptkeep.{module}" for module in later} & _at_once("aptkeep.hook").keys()


def test_help_imports_no_command() -> None:
    """The lazy group carries the help texts itself."""
    ours = {name for name in _at_once("aptkeep.cli.group") if name.startswith("aptkeep.")}
    commands = {name for name in MODULES if name.startswith("aptkeep.cli.")} - {
        "aptkeep.cli.group",
        "aptkeep.cli.output",
    }
    assert ours & commands == set()
    assert not any(name.startswith(("aptkeep.machine", "aptkeep.store")) for name in ours)


# -- purity

_HARMLESS = {
    "__future__",
    "base64",
    "binascii",
    "collections",
    "collections.abc",
    "dataclasses",
    "enum",
    "functools",
    "itertools",
    "re",
    "types",
    "typing",
    "urllib.parse",
}
PURE = (
    "aptkeep.model",
    "aptkeep.errors",
    "aptkeep.words",
    "aptkeep.merge",
    "aptkeep.adapt",
    "aptkeep.plan",
    "aptkeep.compare",
    "aptkeep.nodes",
    "aptkeep.machine.apt.commands",
    "aptkeep.machine.apt.output",
    "aptkeep.machine.apt.uris",
    "aptkeep.machine.keys",
    "aptkeep.doctor.doomed",
    "aptkeep.doctor.findings",
)


@pytest.mark.parametrize("module", PURE)
def test_what_decides_does_not_act(module: str) -> None:
    """No clock, no files, no environment, no processes: not even at hand."""
    assert [
        str(found)
        for found in OTHERS
        if found.importer == module and found.imported not in _HARMLESS
    ] == []
    calls = {
        node.func.id
        for node in ast.walk(MODULES[module])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "print", "input", "exec", "eval", "__import__"}


def test_the_centre_knows_the_model_only() -> None:
    for centre in ("merge", "adapt", "plan", "compare", "nodes"):
        known = {_room(f.imported) for f in OURS if f.importer == f"aptkeep.{centre}"}
        assert known <= {"model", "words", "plan"}, centre


# -- printing

_STREAMS = {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}
_PRINTS = {
    "print",
    "pprint.pprint",
    "click.echo",
    "click.secho",
    "click.echo_via_pager",
    "click.progressbar",
    "click.prompt",
    "click.confirm",
    "traceback.print_exc",
    "warnings.warn",
    *(f"{stream}.{verb}" for stream in _STREAMS for verb in ("write", "writelines")),
}


def _printing(module: str) -> list[str]:
    return [
        f"{module}:{node.lineno}: {ast.unparse(node.func)}"
        for node in ast.walk(MODULES[module])
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _PRINTS
    ]


def test_one_module_prints_and_the_hook_says_what_it_must() -> None:
    found = [
        place
        for module in MODULES
        if module not in {"aptkeep.cli.output", "aptkeep.hook"}
        for place in _printing(module)
    ]
    assert found == []
    assert _printing("aptkeep.cli.output")
    assert {place.rpartition(": ")[2] for place in _printing("aptkeep.hook")} == {
        "sys.stderr.write"
    }


# -- processes


def test_processes_are_started_in_one_room_and_the_hook_forks_itself() -> None:
    """`start --background` forks, too, to leave the terminal, and what keeps the pool."""
    starters = {"os.fork", "os.system", "os.popen", "os.posix_spawn", "os.execv", "os.execve"}
    found = {
        (module, ast.unparse(node.func))
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in starters
    }
    assert found == {(f"aptkeep.{module}", "os.fork") for module in ("hook", "upkeep", "cli.start")}
