"""Small flows for Airflow, and commands that tests run with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

from tests.support.commandline import Devstack

SMALL = "cpu=0.05, memory=200, disk=100"
RUN_SECONDS = 900


def write_flow(
    folder: Path, body: str = "pass", *, name: str = "TinyFlow", above: str = "", step: str = ""
) -> Path:
    """Write a flow of two steps whose start step runs ``body``.

    Args:
        folder: the folder of the file.
        body: body of the start step.
        name: the flow's class; the file's name is its lower case.
        above: decorators of the flow.
        step: decorators of the start step in addition to @kubernetes.
    """
    lines = [
        "import os, time",
        "from metaflow import *",
        *dedent(above).splitlines(),
        f"class {name}(FlowSpec):",
        "    n = Parameter('n', default=1)",
        *indent(dedent(step), "    ").splitlines(),
        f"    @kubernetes({SMALL})",
        "    @step",
        "    def start(self):",
        *indent(dedent(body), "        ").splitlines(),
        "        self.next(self.end)",
        f"    @kubernetes({SMALL})",
        "    @step",
        "    def end(self):",
        "        print('n is', self.n)",
        "if __name__ == '__main__':",
        f"    {name}()",
    ]
    path = folder / f"{name.lower()}.py"
    path.write_text("\n".join(lines) + "\n")
    return path


def deploy(stack: Devstack, flow: Path, *options: str) -> dict[str, Any]:
    """Deploy a flow; return the data of the envelope."""
    done = stack.run("airflow", "deploy", str(flow), "--json", *options)
    data: dict[str, Any] = json.loads(done.stdout)["data"]
    return data


def airflow(stack: Devstack, *argv: str, check: bool = True) -> dict[str, Any]:
    """Run a command of `devstack airflow`; return the envelope."""
    done = stack.run("airflow", argv[0], "--json", *argv[1:], check=check, timeout=RUN_SECONDS + 60)
    envelope: dict[str, Any] = json.loads(done.stdout)
    return envelope


def run_to_end(stack: Devstack, dag_id: str, *options: str, check: bool = True) -> dict[str, Any]:
    """Trigger a run and wait until it ends; return the envelope."""
    limit = str(RUN_SECONDS)
    return airflow(stack, "trigger", dag_id, "--wait", "--timeout", limit, *options, check=check)


def artifacts(stack: Devstack, flow: str, run: Mapping[str, Any], *names: str) -> list[Any]:
    """Return artifacts of a run's end step, read on this machine with Metaflow's client."""
    program = (
        "import json, metaflow; metaflow.namespace(None);"
        f"data = metaflow.Run('{flow}/{run['metaflow_run_id']}')['end'].task.data;"
        f"print(json.dumps([getattr(data, name) for name in {list(names)!r}]))"
    )
    answer = stack.run("shell", "--", sys.executable, "-c", program).stdout
    found: list[Any] = json.loads(answer.strip().splitlines()[-1])
    return found
