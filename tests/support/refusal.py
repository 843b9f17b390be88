"""A command that must fail, and the error that it reports."""

from __future__ import annotations

import json
from dataclasses import dataclass

from devstack.errors import ExitStatus
from tests.support.commandline import Devstack

OF_MACHINE = frozenset(
    {"DISK_FULL", "ENGINE_DISK_FULL", "INOTIFY_LOW", "KUBECTL_SKEW", "MEMORY_LOW"}
)
"""Findings about the machine that runs the tests, which is not always a healthy one."""


@dataclass(frozen=True)
class CommandError:
    """The error of a failed command, from its JSON envelope."""

    code: str
    message: str
    cause: str
    remedy: str
    text: str


def refused(stack: Devstack, *argv: str, code: str, status: ExitStatus) -> CommandError:
    """Run a command that must fail with ``code`` and ``status``; return its error."""
    command, *rest = argv
    done = stack.run(command, "--json", *rest, check=False)
    shown = f"devstack {' '.join(argv)} printed:\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stdout + done.stderr, shown
    assert done.stdout, shown
    envelope = json.loads(done.stdout)
    assert envelope["status"] == "error", shown
    error = envelope["error"]
    assert (error["code"], done.returncode) == (code, int(status)), shown
    assert error["message"], shown
    assert error["remedy"], shown
    text = " ".join(str(error[part]) for part in ("message", "cause", "remedy", "output"))
    return CommandError(code, error["message"], error["cause"], error["remedy"], text)


def findings(stack: Devstack, *options: str) -> dict[str, str]:
    """Return the doctor's findings: each code with its cause and remedy."""
    envelope = stack.json("doctor", *options, check=False)
    found = [each for check in envelope["data"]["checks"] for each in check["findings"]]
    assert all(each["cause"] and each["remedy"] for each in found), found
    return {each["code"]: f"{each['cause']}; next: {each['remedy']}" for each in found}
