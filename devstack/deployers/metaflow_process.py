"""What the compilers of all engines do in Metaflow's own process.

The interpreter may be the user's, so this module and those it imports need nothing but the
standard library and Metaflow.  A compiler gets the arguments ``REPORT FLOW.py [METAFLOW
ARGUMENTS]``.  REPORT is a JSON file: the engine's own wishes at the start; at the end the
violations, the error, or the facts about what was compiled.
"""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from devstack.deployers.unsupported import Violation
from devstack.errors import DevstackError

REFUSED_STATUS = 64
"""Exit status for a flow with unsupported features, or a wrong value of a parameter."""


def run_flow(install_hooks: Callable[[Path], None]) -> None:
    """Run the flow given on the command line as Python would.

    Args:
        install_hooks: changes Metaflow first; its argument is REPORT.
    """
    report, flow = Path(sys.argv[1]), Path(sys.argv[2])
    sys.argv = sys.argv[2:]
    # As Python does for a script, so that the flow can import modules next to it.
    sys.path[0] = str(flow.resolve().parent)
    install_hooks(report)
    runpy.run_path(str(flow), run_name="__main__")


def refuse(report: Path, violations: Sequence[Violation]) -> None:
    """End the process if there is a violation."""
    if violations:
        _end(report, {"violations": [asdict(each) for each in violations]})


def refuse_values(report: Path, convert: Callable[[], object]) -> None:
    """End the process if ``convert`` raises an error: a value of a parameter is wrong."""
    try:
        convert()
    except DevstackError as error:
        fields = ("message", "cause", "remedy", "code")
        _end(report, {"error": {name: getattr(error, name) for name in fields}})


def _end(report: Path, reason: Mapping[str, Any]) -> NoReturn:
    report.write_text(json.dumps(reason))
    sys.stdout.flush()
    # SystemExit, because Metaflow would report any other exception as its own error.
    raise SystemExit(REFUSED_STATUS)
