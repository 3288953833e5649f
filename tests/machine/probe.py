"""Asking the installed aptkeep, inside a root, what it makes of it."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from testbed.workstation import Workstation

_BEFORE = """\
import json, sys
from aptkeep.machine.apt import config
given = json.load(sys.stdin)
configuration = config.load()
"""
_AFTER = "\nprint(json.dumps(answer))\n"


def ask(machine: Workstation, script: str, **given: Any) -> Any:  # noqa: ANN401 - JSON
    """What `script` calls `answer`, with `given` and apt's `configuration` at hand."""
    program = _BEFORE + textwrap.dedent(script) + _AFTER
    command = ("/usr/bin/python3", "-I", "-c", program)
    result = machine.run(*command, input=json.dumps(given), cwd="/tmp")  # noqa: S108 - the root's
    return json.loads(result.stdout.splitlines()[-1])
