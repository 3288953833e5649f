"""The only module that prints: results as text, as JSON, and progress."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from aptkeep.compare import wishes
from aptkeep.plan import (
    AddArchitecture,
    DeleteFile,
    DeleteNode,
    Hold,
    Install,
    Mark,
    Plan,
    PutFile,
    PutNode,
    Remove,
    RemoveArchitecture,
    Step,
    subject_of,
)
from aptkeep.words import counted, grouped, printable, size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aptkeep.collect import Collected
    from aptkeep.compare import Difference, Wish
    from aptkeep.errors import AptkeepError
    from aptkeep.model import Generation, Pending
    from aptkeep.repositories import SourceReport
    from aptkeep.restore import Outcome
    from aptkeep.review import HistoryEntry, Shown, Status, Verified

JSON_VERSION = 1
"""Of everything that `--json` prints; it changes when a reader would have to."""


def as_json(**members: Any) -> None:  # noqa: ANN401 - JSON
    """Print a document."""
    click.echo(json.dumps({"version": JSON_VERSION, **members}, indent=2))


def error(trouble: AptkeepError) -> None:
    """Say what happened, what it means and what to do."""
    click.echo(f"aptkeep: {printable(trouble.brief)}", err=True)
    for more in (trouble.details, trouble.resolution):
        if more:
            click.echo(f"  {printable(more)}", err=True)


def line(text: str) -> None:
    """Print one line."""
    click.echo(printable(text))


def warning(text: str) -> None:
    """Say something on standard error; where nobody can be told, the work goes on."""
    try:
        click.echo(f"aptkeep: {printable(text)}", err=True)
    except OSError:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - or the rest fails, too


# -- progress ----------------------------------------------------------------------------------


class TerminalProgress:
    """A bar on the last line of a terminal: percentage, and what apt is doing."""

    def __init__(self) -> None:
        self._step = ""
        self._drawn = False

    def step(self, text: str) -> None:
        """A new step begins; the one before stays on the screen."""
        self.close()
        self._step = text
        self.progress(0, "")

    def progress(self, percent: float, text: str) -> None:
        """Draw the bar again."""
        width = shutil.get_terminal_size().columns
        filled = round(percent / 5)
        bar = f"[{'#' * filled}{'.' * (20 - filled)}] {percent:3.0f}%"
        shown = printable(f"{bar} {self._step}{': ' if text else ''}{text}")[: width - 1]
        self._write(f"\r\x1b[K{shown}")
        self._drawn = True

    def close(self) -> None:
        """Leave the bar for good."""
        if self._drawn:
            self._write(f"\r\x1b[K{printable(self._step)}\n")
        self._drawn = False

    @staticmethod
    def _write(text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone; the work goes on
            sys.stderr.write(text)
            sys.stderr.flush()


class LineProgress:
    """Without a terminal: a line for each step."""

    def step(self, text: str) -> None:
        """A new step begins."""
        warning(text)

    def progress(self, percent: float, text: str) -> None:
        """Nothing: a log needs no percentages."""

    def close(self) -> None:
        """Nothing is left to be tidied up."""


def progress() -> TerminalProgress | LineProgress:
    """The progress that fits where standard error goes."""
    return TerminalProgress() if sys.stderr.isatty() else LineProgress()


# -- restore -----------------------------------------------------------------------------------


def outcome(result: Outcome, *, json_wanted: bool, dry_run: bool) -> None:
    """Print what a restore did, or would do."""
    if json_wanted:
        as_json(
            generation=result.generation,
            dry_run=dry_run,
            steps=[_step_json(step) for step in result.plan.steps],
            pending=_pending_json(result.pending),
            notes=list(result.notes),
        )
        return
    if dry_run:
        _print_plan(result.plan)
    for note in result.notes:
        warning(f"note: {note}")
    for text in grouped((entry.subject, entry.reason) for entry in result.pending):
        warning(f"pending: {text}")
    if result.plan.steps and not dry_run:
        summary = f"generation {result.generation} is restored"
        if result.pending:
            summary += f", but for {len(result.pending)} pending"
        line(f"aptkeep: {summary}.")


def _print_plan(plan: Plan) -> None:
    if not plan.steps:
        line("Nothing to do.")
    for step in plan.steps:
        line(_step_text(step))


def _step_text(step: Step) -> str:  # noqa: PLR0911 - one line for each kind
    if isinstance(step, AddArchitecture):
        return f"add architecture {step.name}"
    if isinstance(step, RemoveArchitecture):
        return f"remove architecture {step.name}"
    if isinstance(step, (PutFile, PutNode)):
        return f"put back {step.path}"
    if isinstance(step, (DeleteFile, DeleteNode)):
        return f"delete {step.path}"
    if isinstance(step, Install):
        return " ".join(
            word
            for word in (
                "install",
                step.name,
                step.version or "",
                f"(over {step.installed})" if step.installed else "",
                f"(recorded: {step.recorded})" if step.recorded else "",
            )
            if word
        )
    if isinstance(step, Remove):
        return f"{'purge' if step.purge else 'remove'} {step.name}"
    if isinstance(step, Hold):
        return f"{'hold' if step.held else 'unhold'} {step.name}"
    return f"mark {step.name} {'automatic' if step.auto else 'manual'}"


_STEP_NAMES: dict[type, str] = {
    AddArchitecture: "add-architecture",
    RemoveArchitecture: "remove-architecture",
    PutFile: "put-file",
    DeleteFile: "delete-file",
    PutNode: "put-path",
    DeleteNode: "delete-path",
    Install: "install",
    Remove: "remove",
    Hold: "hold",
    Mark: "mark",
}


def _step_json(step: Step) -> dict[str, Any]:
    document: dict[str, Any] = {"step": _STEP_NAMES[type(step)], "name": subject_of(step)}
    for member in ("version", "recorded", "installed", "purge", "held", "auto"):
        if getattr(step, member, None) is not None:
            document[member] = getattr(step, member)
    return document


def _pending_json(pending: Iterable[Pending]) -> list[dict[str, str]]:
    return [{"name": entry.subject, "reason": entry.reason} for entry in pending]


# -- status, history, show, diff ---------------------------------------------------------------


def status(result: Status, *, json_wanted: bool) -> None:
    """Print how this root stands to what is wanted."""
    number = result.generation.number if result.generation else None
    if json_wanted:
        as_json(
            home=result.home,
            store=result.store,
            started=result.started,
            restoring=result.restoring,
            generation=number,
            wanted=[_wish_json(wish) for wish in result.wanted],
            present=[_wish_json(wish) for wish in result.present],
            elsewhere=[_wish_json(wish) for wish in result.elsewhere],
            pending=_pending_json(result.pending),
            unrecorded=[_difference_json(entry) for entry in result.unrecorded],
            warnings=list(result.warnings),
            sources=[_source_json(source) for source in result.sources],
            pool={
                "debs": result.pooled,
                "size": result.pool_size,
                "on_their_way": result.unpooled,
            },
        )
        return
    line(f"home        {result.home}")
    line(f"generation  {_generation_line(result.generation)}")
    if not result.started:
        line("recording   off: 'aptkeep start' has not run on this machine")
    if result.restoring:
        line("restoring   under way, or interrupted: 'aptkeep start' finishes it")
    line(f"wanted      {_counted(result.wanted)}")
    line(f"present     {len(result.present)} of {len(result.wanted)}")
    if result.pooled or result.unpooled:
        pool = f"{counted(result.pooled, 'package')}, {size(result.pool_size)}"
        way = f"; {result.unpooled} on their way: 'aptkeep record' waits for them"
        line(f"pool        {pool}{way if result.unpooled else ''}")
    if result.elsewhere:
        names = ", ".join(wish.name for wish in result.elsewhere)
        line(f"elsewhere   {names}: recorded on another image, and left to apt on this one")
    for text in grouped((entry.subject, entry.reason) for entry in result.pending):
        line(f"pending     {text}")
    for change in result.unrecorded:
        line(f"unrecorded  {_difference_text(change)}")
    if result.unrecorded:
        line("            the next apt run, or 'aptkeep record', records it")
    for text in result.warnings:
        warning(text)


def history(entries: list[HistoryEntry], *, json_wanted: bool) -> None:
    """Print the generations, newest first."""
    if json_wanted:
        as_json(
            generations=[
                {"generation": entry.number, "damaged": entry.trouble}
                if entry.generation is None
                else {
                    "generation": entry.number,
                    "at": entry.generation.occasion.at,
                    "door": entry.generation.occasion.door,
                    "requests": [
                        {"command": request.command, "user": request.user}
                        for request in entry.generation.occasion.requests
                    ],
                    "packages": len(entry.generation.manifest.packages),
                }
                for entry in entries
            ]
        )
        return
    if not entries:
        line("Nothing was recorded yet.")
    for entry in reversed(entries):
        if entry.generation is None:
            line(f"{entry.number:>5}  damaged: {entry.trouble}")
            continue
        occasion = entry.generation.occasion
        asked = "; ".join(
            f"{request.command} ({request.user})" if request.user else request.command
            for request in occasion.requests
        )
        line(f"{entry.number:>5}  {occasion.at}  {asked or occasion.door}")


def shown(result: Shown, *, json_wanted: bool) -> None:
    """Print a generation."""
    generation = result.generation
    if json_wanted:
        # Imported here: only this needs the disk format.
        from aptkeep.model import Manifest  # noqa: PLC0415
        from aptkeep.store.format.codec import to_document  # noqa: PLC0415

        as_json(
            manifest=to_document(generation) if generation else None,
            kept_paths=[_wish_json(wish) for wish in wishes(Manifest(), result.nodes)],
            sources=[_source_json(source) for source in result.sources],
        )
        return
    if generation is None:
        line("Nothing was recorded yet.")
        return
    line(f"generation  {_generation_line(generation)}")
    line(f"recorded    {generation.occasion.door} on {generation.platform.release}")
    for request in generation.occasion.requests:
        line(f"request     {request.command}" + (f" ({request.user})" if request.user else ""))
    for wish in wishes(generation.manifest, result.nodes):
        line(f"{wish.kind:<14}{wish.name}  {wish.text}")
    for source in result.sources:
        _print_source(source)


def verified(result: Verified, *, json_wanted: bool) -> None:
    """Print what `verify` found."""
    if json_wanted:
        as_json(
            generations=result.generations,
            files=result.files,
            troubles=list(result.troubles),
            sources=[_source_json(source) for source in result.sources],
        )
        return
    if not result.troubles:
        generations, files = (
            counted(result.generations, "generation"),
            counted(result.files, "file"),
        )
        line(f"{generations} and {files}: every byte is as it was recorded.")
    for text in result.troubles:
        warning(text)
    for source in result.sources:
        _print_source(source)


def collected(result: Collected, *, json_wanted: bool, dry_run: bool) -> None:
    """Print what gc deleted, or would delete."""
    if json_wanted:
        as_json(
            dry_run=dry_run,
            generations=list(result.generations),
            files=list(result.files),
            freed=result.freed,
        )
        return
    for number in result.generations:
        line(f"generation {number}")
    for name in result.files:
        line(name)
    line(f"{size(result.freed)} {'would be freed' if dry_run else 'freed'}.")


def _print_source(source: SourceReport) -> None:
    line(f"from        {source.path}: {', '.join(source.repositories) or 'nothing enabled'}")
    for keyring in source.keyrings:
        if not keyring.kept:
            line(f"  key       {keyring.path}: not in the store: a package brings it, or nobody")
        for key in keyring.keys:
            until = f", expires {key.expires}" if key.expires else ""
            line(f"  key       {key.fingerprint} {key.user_id}{until}")
    line(
        f"  proven    {source.proven or 'never'}{': ' if source.unproven else ''}{source.unproven}"
    )
    for text in source.troubles:
        line(f"  warning   {text}")


def _source_json(source: SourceReport) -> dict[str, Any]:
    return {
        "path": source.path,
        "repositories": list(source.repositories),
        "keyrings": [
            {
                "path": keyring.path,
                "kept": keyring.kept,
                "keys": [
                    {
                        "fingerprint": key.fingerprint,
                        "user_id": key.user_id,
                        "expires": key.expires,
                        "revoked": key.revoked,
                    }
                    for key in keyring.keys
                ],
            }
            for keyring in source.keyrings
        ],
        "proven": source.proven,
        "unproven": source.unproven,
        "troubles": list(source.troubles),
    }


def difference(found: list[Difference], *, json_wanted: bool) -> None:
    """Print what two manifests wish differently."""
    if json_wanted:
        as_json(differences=[_difference_json(entry) for entry in found])
        return
    if not found:
        line("No difference.")
    for entry in found:
        line(_difference_text(entry))


def _generation_line(generation: Generation | None) -> str:
    if generation is None:
        return "none: nothing was recorded yet"
    return f"{generation.number}, recorded {generation.occasion.at}"


def _counted(entries: tuple[Wish, ...]) -> str:
    kinds: dict[str, int] = {}
    for wish in entries:
        kinds[wish.kind] = kinds.get(wish.kind, 0) + 1
    return ", ".join(counted(number, kind) for kind, number in kinds.items()) or "nothing"


def _wish_json(wish: Wish) -> dict[str, str]:
    return {"kind": wish.kind, "name": wish.name, "wish": wish.text}


def _difference_json(entry: Difference) -> dict[str, str | None]:
    return {"kind": entry.kind, "name": entry.name, "old": entry.old, "new": entry.new}


def _difference_text(entry: Difference) -> str:
    sign = "+" if entry.old is None else "-" if entry.new is None else "~"
    wish = " -> ".join(text for text in (entry.old, entry.new) if text is not None)
    return f"{sign} {entry.kind} {entry.name}: {wish}"
