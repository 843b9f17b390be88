"""Metaflow's client in a user's program, with the environment of `devstack env`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.support.commandline import Devstack


def run_client(stack: Devstack, program: str) -> Any:
    """Run a program with Metaflow's client; return its variable ``found``.

    Args:
        stack: the stack that it reads.
        program: lines of Python, after ``from metaflow import *``.
    """
    text = (
        f"import json\nfrom metaflow import *\nnamespace(None)\n{program}\nprint(json.dumps(found))"
    )
    settings = stack.json("env")["data"]
    inherited = {name: value for name, value in os.environ.items() if name not in settings["unset"]}
    done = subprocess.run(
        [sys.executable, "-c", text],
        env={**inherited, **settings["environment"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
