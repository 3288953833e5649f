"""Runs inside a throwaway root: lets one operation of aptkeep meet its faults, one after another.

A fork server: aptkeep is imported once, each run is a child of its own with the real command line
or the real hook in it. Before each, everything that it may have changed is put back.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field

from aptkeep import collect, files, review
from faults.inside.calls import ERRORS, Call, Fault, Watch, inode
from faults.inside.looks import (
    apt_works,
    difference,
    digest,
    further_installation,
    lay_out,
    left_over,
    look,
    of_root,
    tree_of,
)
from faults.inside.power import Disk, Tree
from faults.inside.processes import Ended, in_child, interrupt, operation

WORK = "/var/tmp/faults"  # noqa: S108 - the root's own
_WATCH = Watch((), f"{WORK}/journal")
_SUBREAPER = 36
"""prctl(2)'s number for becoming the parent of grandchildren whose own parent has ended."""
_EVERY = 40
"""Of how many states one gets a further installation."""


@dataclass(frozen=True)
class Scenario:
    """An operation, and the moment at which it's done."""

    name: str
    argv: Sequence[str]
    """`aptkeep …` or `hook DOOR`."""
    roots: Sequence[str]
    """All that it may change: put back before each run, and looked at after it."""
    snapshot: str
    """A directory that holds the roots as they are before, and all of `everything`."""
    everything: Sequence[str]
    """What is put back once, before the first run."""
    repair: Sequence[Sequence[str]]
    """What comes next, by turns."""
    outcomes: Sequence[str] = ("after",)
    """Whose wishes are to be there in the end: those of `before` or `after` the operation."""
    restores: bool = False
    """Whether the root, too, has to be as it is after an operation that nothing disturbed."""
    also: str = ""
    """A shell command that puts back what else there is."""
    stdin: str = ""
    watched: Sequence[str] = ()
    """What else it changes itself."""
    status: Sequence[str] = ()
    """Files that other programs change meanwhile, and that tell how far it was."""


@dataclass
class Report:
    """What came of the faults of one scenario."""

    name: str
    calls: int = 0
    tried: dict[str, int] = field(default_factory=dict)
    """Faults by kind."""
    states: int = 0
    """How many different states they left behind."""
    further: int = 0
    """How many further installations were recorded."""
    problems: list[str] = field(default_factory=list)
    wishes: list[str] = field(default_factory=list)
    """What is wanted in the end, where nothing goes wrong."""
    seen: list[tuple[str, str]] = field(default_factory=list)
    """The calls, by name and path."""
    seconds: float = 0.0


class Runner:
    """One scenario."""

    def __init__(self, scenario: Scenario, *, interrupted: bool = False) -> None:
        """`interrupted`: every other call that a signal can interrupt is."""
        self._scenario = scenario
        self.report = Report(scenario.name)
        self._seen: set[str] = set()
        began = time.monotonic()
        self._put_back(scenario.everything)
        self._before = look().wishes
        self.disk = Disk(tree_of(scenario.roots), scenario.roots)
        ended = self._run(scenario.argv, watched=True, interrupted=interrupted)
        self.calls = _WATCH.calls()
        self.report.calls = len(self.calls)
        if ended.code != 0:
            self._problem("without any fault", f"exit code {ended.code}: {ended.output}")
        done = look(verify=True)
        self._after = done.wishes
        self.report.wishes = sorted(done.wishes.of)
        self._root_after = of_root(scenario.roots)
        self.report.problems += [f"without any fault: {p}" for p in done.troubles]
        self.report.seconds = time.monotonic() - began

    # -- faults

    def play(self, share: Share) -> None:
        """Let all of a share happen."""
        began = time.monotonic()
        for fault in share.faults(len(self.calls)):
            self.fault(fault)
        self.power_cuts(set(share.cuts(len(self.calls))))
        self.report.seconds += time.monotonic() - began

    def fault(self, fault: Fault) -> None:
        """Let one call fail, or be the last one."""
        lasting = " and all after it there" if fault.lasting else ""
        call = self.calls[fault.at]
        where = f"{fault.kind} call {fault.at}{lasting}, {call.name} {call.path}"
        self._reset()
        ended = self._run(self._scenario.argv, fault, watched=True)
        killed = fault.kind in ("before", "after")
        hook = self._scenario.argv[0] == "hook"
        allowed = [0] if hook else range(5)
        if "Traceback" in ended.output or ended.code not in (*allowed, *[-signal.SIGKILL] * killed):
            self._problem(where, f"exit code {ended.code}: {ended.output}")
        self._count("kill" if killed else fault.kind)
        self._examine(where)

    def power_cuts(self, chosen: Collection[int]) -> None:
        """Cut the power after so many calls."""
        completed = len(self.calls)
        for number in range(completed + 1):
            if number:
                self.disk.carry_out(self.calls[number - 1])
            if number not in chosen:
                continue
            for what, tree in self.disk.states():
                if self._digest(tree) in self._seen:
                    continue
                self._reset()
                if number and self._scenario.status:  # what others did until then
                    self._run(self._scenario.argv, Fault(number - 1, "after"), watched=True)
                lay_out(tree, self._scenario.roots)
                call = self.calls[number - 1] if number else Call("nothing", "")
                where = f"power cut after call {number - 1}, {call.name} {call.path}: {what}"
                self._count("power")
                self._examine(where, done=number == completed)

    def _examine(self, where: str, *, done: bool = False) -> None:
        """Whether the state that is there now is a good one, and what comes next repairs it."""
        found = self._digest(tree_of(self._scenario.roots))
        if found in self._seen and not done:
            return
        self._seen.add(found)
        self.report.states += 1
        for problem in self._survived(done=done):
            self._problem(where, problem)
        repair = self._scenario.repair[self.report.states % len(self._scenario.repair)]
        ended = self._run(repair)
        said = f"{' '.join(repair)} said, with exit code {ended.code}: {ended.output}"
        problems = [said] if ended.code != 0 or "Traceback" in ended.output else []
        problems += self._repaired()
        if problems and said not in problems:
            problems.append(said)
        if self._scenario.restores or self.report.states % _EVERY == 0:
            problems += apt_works()
        if self.report.states % _EVERY == 0:
            problems += further_installation()
            self.report.further += 1
        for problem in problems:
            self._problem(where, problem)

    def _digest(self, tree: Tree) -> str:
        told = [inode(path).content for path in self._scenario.status if os.path.exists(path)]
        return hashlib.sha256(repr((digest(tree), told)).encode()).hexdigest()

    def _count(self, kind: str) -> None:
        self.report.tried[kind] = self.report.tried.get(kind, 0) + 1

    def _problem(self, where: str, what: str) -> None:
        self.report.problems.append(f"{where}: {what}")

    # -- what must be true

    def _survived(self, *, done: bool) -> list[str]:
        """Before anything is repaired, as a new root would find it."""
        try:
            found = look()
        except RuntimeError as error:
            return [str(error)]
        wishes = found.wishes
        problems = [f"what is wanted can't be had: {trouble}" for trouble in found.missing]
        if wishes.number < self._before.number:
            problems.append(f"generation {wishes.number} is the newest whole one")
        if done and "after" in self._scenario.outcomes and wishes.of != self._after.of:
            problems.append(f"it was done, and is lost: {difference(wishes.of, self._after.of)}")
        before, after = self._before.of, self._after.of
        problems += [
            f"{what} is lost: {wishes.of.get(what)}"
            for what in before.keys() & after.keys()
            if wishes.of.get(what) not in (before[what], after[what])
        ]
        return problems

    def _repaired(self) -> list[str]:
        problems = []
        try:
            found = look(verify=True)
        except RuntimeError as error:
            return [str(error)]
        wishes = found.wishes.of
        allowed = {"before": self._before.of, "after": self._after.of}
        choices = [allowed[name] for name in self._scenario.outcomes]
        if wishes not in choices:
            problems.append(f"other wishes: {difference(wishes, choices[-1])}")
        problems += [f"verify: {trouble}" for trouble in found.troubles]
        problems += [f"{path} was left" for path in left_over(self._scenario.roots)]
        if self._scenario.restores and wishes == self._after.of:
            now = of_root(self._scenario.roots)
            if now != self._root_after:
                problems.append(f"the root is another one: {difference(now, self._root_after)}")
        return problems

    # -- running

    def _reset(self) -> None:
        self._put_back(self._scenario.roots)

    def _put_back(self, roots: Sequence[str]) -> None:
        lines = ["set -e"]
        for root in roots:
            place = f"{self._scenario.snapshot}{root}"
            lines += [f"find {root} -xdev -mindepth 1 -delete", f"cp -a {place}/. {root}/"]
        lines.append(self._scenario.also or "true")
        subprocess.run(["/bin/sh", "-c", "\n".join(lines)], check=True)

    def _run(
        self,
        argv: Sequence[str],
        fault: Fault | None = None,
        *,
        watched: bool = False,
        interrupted: bool = False,
    ) -> Ended:
        def work() -> None:
            if interrupted:
                interrupt(f"{WORK}/interrupted")
            if watched:
                _WATCH.awake((*self._scenario.roots, *self._scenario.watched), fault)
            operation(argv, self._scenario.stdin)

        return in_child(work)


def prepare() -> None:
    """Wrap the calls, and have little mean much."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    os.umask(0o022)
    collect.KEPT_GENERATIONS = 3
    vars(review)["source_reports"] = lambda *_given: ()  # what GnuPG says of keys takes long
    _WATCH.install()
    vars(files)["sync_file_system"] = _WATCH.syncing_all(files.sync_file_system)


def main() -> None:
    """Read what to do as JSON from standard input; print the report as JSON."""
    wanted = json.load(sys.stdin)
    prepare()
    runner = Runner(Scenario(**wanted["scenario"]), interrupted=wanted["interrupted"])
    report = runner.report
    if wanted["share"] is not None:
        runner.play(Share(**wanted["share"]))
    report.seen = [(call.name, call.path) for call in runner.calls]
    sys.stdout.write(json.dumps(asdict(report)))


@dataclass(frozen=True)
class Share:
    """Of all that can go wrong, every how manieth is tried."""

    kill: int = 1
    error: int = 1
    power: int = 1
    """Of the calls after which the power can be cut: all that may be on disk then is tried."""

    def faults(self, calls: int) -> Iterator[Fault]:
        """The ones to be tried."""
        kills = [Fault(at, kind) for at in range(calls) for kind in ("before", "after")]
        yield from kills[:: self.kill]
        errors = [
            Fault(at, kind, lasting)
            for at in range(calls)
            for lasting in (False, True)
            for kind in ERRORS
        ]
        yield from errors[:: self.error]

    def cuts(self, calls: int) -> Iterator[int]:
        """After how many calls."""
        yield from range(0, calls, self.power)
        yield calls
