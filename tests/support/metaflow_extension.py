"""Metaflow with devstack's extension, in a process of its own, and a stand-in for `devstack`.

The stand-in records its arguments and prints the JSON that a test gives it; the recorded
arguments are parsed by the real command line.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import click

from devstack.client_files import EXTENSION_FOLDER, PROFILE

STAND_IN = """\
#!{python} -IS
import json, os, sys
folder = {folder!r}
with open(os.path.join(folder, "calls"), "a") as file:
    file.write(json.dumps([sys.argv[1:], os.getcwd(), os.environ.get("METAFLOW_USER")]) + "\\n")
path = os.path.join(folder, sys.argv[2] + ".json")
answers = json.load(open(path))
with open(path, "w") as file:
    json.dump(answers[1:] or answers, file)
text, errors, status = answers[0]
sys.stdout.write(text)
sys.stderr.write(errors)
sys.exit(status)
"""


@dataclass(frozen=True)
class Call:
    """A call of the stand-in.

    Attributes:
        argv: its arguments.
        cwd: the folder in which it was called.
        user: METAFLOW_USER.
    """

    argv: list[str]
    cwd: str
    user: str

    @property
    def parsed(self) -> click.Context:
        """The arguments as the real command understands them."""
        assert self.argv[0] == "airflow"
        module = importlib.import_module(f"devstack.cli.airflow.{self.argv[1]}")
        context: click.Context = module.command.make_context(self.argv[1], self.argv[2:])
        return context


class FakeDevstack:
    """A stand-in for the command `devstack`, and Metaflow in a stack's environment.

    Args:
        folder: a folder of the test.

    Attributes:
        environment: the variables of the stack.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        executable = folder / "devstack"
        executable.write_text(STAND_IN.format(python=sys.executable, folder=str(folder)))
        executable.chmod(0o755)
        home = folder / "home"
        home.mkdir()
        settings = {
            "METAFLOW_DEFAULT_METADATA": "local",
            "METAFLOW_DEFAULT_FROM_DEPLOYMENT_IMPL": "airflow",
        }
        (home / f"config_{PROFILE}.json").write_text(json.dumps(settings))
        self.environment = {
            "PYTHONPATH": str(EXTENSION_FOLDER),
            "DEVSTACK_EXECUTABLE": str(executable),
            "METAFLOW_PROFILE": PROFILE,
            "METAFLOW_HOME": str(home),
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(home),
            "METAFLOW_USER": "tester",
        }

    def answer(self, verb: str, *data: Mapping[str, Any], warnings: tuple[str, ...] = ()) -> None:
        """Set the data of the next calls of a verb; the last is repeated."""
        envelopes = [{"data": each, "warnings": warnings, "error": None} for each in data]
        self.print(verb, *(json.dumps(each) for each in envelopes))

    def fail(self, verb: str, **error: Any) -> None:
        """Let a verb fail with these fields of an error."""
        self.print(verb, json.dumps({"data": {}, "warnings": [], "error": error}), status=1)

    def print(self, verb: str, *texts: str, errors: str = "", status: int = 0) -> None:
        """Set what the next calls of a verb print, and their status."""
        answers = [[text, errors, status] for text in texts]
        (self.folder / f"{verb}.json").write_text(json.dumps(answers))

    @property
    def calls(self) -> list[Call]:
        """The calls so far."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [Call(*json.loads(line)) for line in lines]

    def run(self, program: str, **variables: str) -> Any:
        """Run a program with Metaflow; return its variable ``found``.

        Args:
            program: lines of Python after ``from metaflow import ...``.
            variables: further variables of its environment.
        """
        lines = [
            "import json",
            "from metaflow import Deployer, DeployedFlow, metaflow_version",
            *dedent(program).splitlines(),
            "print()",
            "print(json.dumps(found))",
        ]
        done = self.python(["-c", "\n".join(lines)], **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def python(self, argv: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the folder of the test, in the stack's environment."""
        return subprocess.run(
            [sys.executable, *argv],
            cwd=self.folder,
            env={**os.environ, **self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
