"""``devstack run`` with arguments for a flow."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devstack.cli import exec_command
from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.config import StackSpec
from devstack.errors import ExitStatus
from devstack.lifecycle.up import up
from tests.fakes.stack import World

Call = Callable[..., tuple[int, dict[str, Any]]]

# Acts like a flow's file: prints its arguments, and ends with status 7.
ECHO = """
import os, sys
print(sys.argv[1:], os.environ["METAFLOW_PROFILE"])
print("to stderr", file=sys.stderr)
sys.exit(7)
"""


@pytest.fixture
def call(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def open_stack(spec: StackSpec, _progress: object = None, **options: bool) -> Any:
        return world.open(spec, **options)

    monkeypatch.setattr("devstack.stack.open_stack", open_stack)
    up(world.open())

    def act(*argv: str) -> tuple[int, dict[str, Any]]:
        status = run(argv, Output())
        return status, json.loads(capsys.readouterr().out)

    return act


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    path = tmp_path / "my_flow.py"
    path.write_text(ECHO)
    return path


@pytest.mark.parametrize("typed", [["show"], ["--quiet", "tag", "add", "--run-id", "17"], ["help"]])
def test_output_and_status_of_metaflows_commands_are_passed_through(
    call: Call, flow: Path, typed: list[str]
) -> None:
    status, envelope = call("run", "--json", str(flow), "--", *typed)
    assert (status, envelope["status"], envelope["error"]) == (7, "ok", None)
    assert envelope["data"]["returncode"] == 7
    assert envelope["data"]["stdout"] == f"{typed} devstack\n"
    assert envelope["data"]["stderr"] == "to stderr\n"


def test_metaflows_commands_replace_the_process_of_devstack(
    call: Call, flow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: list[list[str]] = []

    def execute(argv: list[str], variables: dict[str, str]) -> int:
        assert variables["METAFLOW_PROFILE"] == "devstack"
        replaced.append(argv)
        raise SystemExit(0)

    monkeypatch.setattr(exec_command, "exec_command", execute)
    with pytest.raises(SystemExit):
        call("run", str(flow), "--", "resume", "--help")
    assert [argv[1:] for argv in replaced] == [["-u", str(flow), "resume", "--help"]]


def test_the_python_of_the_flow_can_be_chosen_and_is_shown(
    call: Call, world: World, flow: Path
) -> None:
    chosen = f"{sys.prefix}/bin/python"
    world.runner.answer(chosen, stdout=json.dumps([sys.executable, "1.2", []]))
    flow.write_text("import missing_package")
    status, envelope = call("run", "--json", "--local", "--python", chosen, str(flow))
    assert status == ExitStatus.FLOW_FAILED
    shown = {"path": sys.executable, "origin": "--python", "metaflow": "1.2"}
    assert envelope["data"]["python"] == shown
    assert "not with 1.2" in envelope["warnings"][0]
    assert "missing_package" in envelope["error"]["remedy"]
    assert "--python" in envelope["error"]["remedy"]


@pytest.mark.parametrize(
    ("typed", "warning"),
    [
        (["--mode", "spin"], "--mode spin: the run's record and its artifacts are"),
        (["--datastore", "local"], "--datastore local: artifacts are"),
    ],
)
def test_an_option_that_takes_a_run_out_of_the_stack_is_warned_of(
    call: Call, flow: Path, typed: list[str], warning: str
) -> None:
    flow.write_text("import missing_package")
    _status, envelope = call("run", "--json", "--local", str(flow), "--", *typed)
    assert f"{warning} not in the stack" in envelope["warnings"]


def test_a_variable_does_not_take_a_run_out_of_the_stack(
    call: Call, flow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAFLOW_MODE", "spin")
    flow.write_text("import os; print(os.environ.get('METAFLOW_MODE'))")
    _status, envelope = call("run", "--json", str(flow), "--", "show")
    assert envelope["data"]["stdout"] == "None\n"
