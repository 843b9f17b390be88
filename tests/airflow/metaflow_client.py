"""Metaflow's client as a program of the user has it: with what `devstack env` prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.support.commandline import Devstack


def ask(stack: Devstack, program: str) -> Any:
    """Return what a program of Metaflow's client leaves in ``found``.

    Args:
        stack: the stack that it looks at.
        program: lines of Python; all of ``metaflow`` is imported already.
    """
    text = (
        f"import json\nfrom metaflow import *\nnamespace(None)\n{program}\nprint(json.dumps(found))"
    )
    told = stack.json("env")["data"]
    inherited = {name: value for name, value in os.environ.items() if name not in told["unset"]}
    done = subprocess.run(
        [sys.executable, "-c", text],
        env={**inherited, **told["environment"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
