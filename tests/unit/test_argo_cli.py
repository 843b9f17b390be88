"""Options of `devstack argo`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.errors import ExitStatus


def test_a_limit_of_a_wait_needs_the_wait(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["argo", "trigger", "MyFlow", "--timeout", "9", "--json"]
    assert run(argv, Output()) == ExitStatus.USAGE
    assert "add --wait" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert run([*argv, "--wait"], Output()) == ExitStatus.ENVIRONMENT
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "STACK_DOWN"
