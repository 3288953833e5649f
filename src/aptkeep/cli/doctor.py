"""`aptkeep doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aptkeep.cli import context, output
from aptkeep.doctor.findings import Kind
from aptkeep.doctor.report import doctor
from aptkeep.errors import ExitCode
from aptkeep.words import counted, size, some

if TYPE_CHECKING:
    from aptkeep.doctor.findings import Finding
    from aptkeep.doctor.places import Place
    from aptkeep.doctor.report import Report

_FILES = (Kind.FILES, Kind.PACKAGE_FILE)


@click.command("doctor")
@context.options
@context.as_json
def command(*, options: tuple[str, ...], as_json: bool) -> int:
    """Show what on this machine would not survive its stop, and the remedy."""
    found = doctor(context.configuration(options))
    if as_json:
        _print_json(found)
    else:
        _print_text(found)
    if found.trouble is not None:
        output.error(found.trouble)
        return found.trouble.exit_code
    return ExitCode.PENDING if found.findings else ExitCode.OK


def _print_text(found: Report) -> None:
    kind = None
    for finding in found.findings:
        if finding.kind is not kind:
            kind = finding.kind
            output.line(f"{_HEADINGS[kind]}:")
        output.line(f"  {finding.subject}{_extent(finding)}")
        if finding.examples:
            more = " …" if len(finding.examples) < finding.count else ""
            output.line(f"    {', '.join(finding.examples)}{more}")
        if finding.size is None:  # or the heading says it
            output.line(f"    {finding.meaning}")
        output.line(f"    remedy: {finding.remedy}")
    if not found.findings and found.trouble is None:
        seen = ", as far as you can see it" if found.unseen else ""
        output.line(f"Nothing would be lost{seen}.")
    _print_places(found.places)
    for text in found.advice:
        output.line(f"advice: {text}")
    if found.unseen:
        output.warning(some(found.unseen, "only root can look into that"))


_HEADINGS = {
    Kind.NOT_STARTED: "Nothing is kept",
    Kind.START_UP: "Nothing comes back by itself",
    Kind.VOLUME: "The store would be lost",
    Kind.HOOKS: "Changes go unseen",
    Kind.STORE: "Kept files that can't come back",
    Kind.KEY: "Keys and files of apt's that would be lost",
    Kind.UNREADABLE_HOME: "Sources that would be of no use",
    Kind.UNRECORDED: "Changes that would be lost",
    Kind.FILES: "Files that would be lost, as no package brings them back",
    Kind.PACKAGE_FILE: "Changed files of packages, which come back as the packages bring them",
    Kind.CONFFILE: "Changed configuration files, which come back as their packages bring them",
}


def _print_places(places: tuple[Place, ...]) -> None:
    if places:
        output.line("Where installations would go:")
    for place in places:
        answer = place.destination
        if answer.path is None:
            said = answer.trouble or "nowhere"
        else:
            said = f"{answer.path}, which {'survives' if place.survives else 'would be lost'}"
        output.line(f"  {answer.tool} ({answer.user}): {said}")
        if answer.remedy and not place.survives:
            output.line(f"    remedy: {answer.remedy}")


def _extent(finding: Finding) -> str:
    if finding.size is None:
        return ""
    if finding.kind in _FILES:
        return f": {counted(finding.count, 'file')}, {size(finding.size)}"
    return f": {size(finding.size)}"


def _print_json(found: Report) -> None:
    trouble = found.trouble
    output.as_json(
        home=found.home,
        tools=[_place_json(place) for place in found.places],
        findings=[_finding_json(finding) for finding in found.findings],
        advice=list(found.advice),
        unseen=list(found.unseen),
        error=None
        if trouble is None
        else {
            "brief": trouble.brief,
            "details": trouble.details,
            "resolution": trouble.resolution,
        },
    )


def _place_json(place: Place) -> dict[str, Any]:
    answer = place.destination
    return {
        "tool": answer.tool,
        "user": answer.user,
        "path": answer.path,
        "survives": place.survives,
        "asked": answer.asked,
        "trouble": answer.trouble,
        "remedy": answer.remedy,
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "subject": finding.subject,
        "meaning": finding.meaning,
        "remedy": finding.remedy,
        "count": finding.count,
        "bytes": finding.size,
        "examples": list(finding.examples),
    }
