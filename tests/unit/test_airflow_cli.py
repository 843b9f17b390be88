"""`devstack airflow` and `devstack run --airflow` on the command line, without a stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from devstack.cli.airflow import COMMANDS
from devstack.cli.deployments import parse_flow_arguments
from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.errors import ExitStatus
from devstack.samples.catalogue import DAG_SAMPLES

NEEDS = {
    "deploy": ["flow.py"],
    "trigger": ["MyFlow"],
    "logs": ["MyFlow"],
    "delete": ["MyFlow"],
}
"""Required arguments of a command."""


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to a folder with a flow; there is no stack."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEVSTACK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DEVSTACK_NAME", raising=False)
    (tmp_path / "flow.py").write_text("x = 1\n")


def called(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, dict[str, Any]]:
    status = run([*argv, "--json"], Output())
    envelope: dict[str, Any] = json.loads(capsys.readouterr().out)
    return status, envelope


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_reports_a_missing_stack(
    flow: None, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    status, envelope = called(capsys, "airflow", name, *NEEDS.get(name, []))
    assert status == ExitStatus.ENVIRONMENT
    assert envelope["error"]["code"] == "STACK_DOWN"
    assert envelope["command"] == f"airflow {name}"


def test_a_missing_flow_is_reported_before_the_stack_is_opened(
    flow: None, capsys: pytest.CaptureFixture[str]
) -> None:
    _, envelope = called(capsys, "airflow", "deploy", "fow.py")
    assert envelope["error"]["code"] == "FLOW_UNKNOWN"
    assert "flow.py" in envelope["error"]["remedy"]


@pytest.mark.parametrize("word", ["n", "=3"])
def test_a_parameter_is_a_name_and_a_value(
    flow: None, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    status, envelope = called(capsys, "airflow", "trigger", "MyFlow", "--param", word)
    assert status == ExitStatus.USAGE
    assert "NAME=VALUE" in envelope["error"]["message"]


def test_the_samples_for_airflow_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    _, envelope = called(capsys, "run", "--airflow", "--list")
    names = [sample["name"] for sample in envelope["data"]["samples"]]
    assert names == [sample.name for sample in DAG_SAMPLES]


def test_an_unknown_sample_is_reported_with_the_closest_match(
    flow: None, capsys: pytest.CaptureFixture[str]
) -> None:
    _, envelope = called(capsys, "run", "--airflow", "liner")
    assert "linear" in envelope["error"]["remedy"]


def test_arguments_after_dashes_are_parameters() -> None:
    assert parse_flow_arguments(["--n", "3", "--who=you=me"]) == {"n": "3", "who": "you=me"}


@pytest.mark.parametrize("arguments", [["n", "3"], ["--n"]])
def test_other_arguments_after_dashes_are_rejected(arguments: list[str]) -> None:
    with pytest.raises(click.UsageError, match="--NAME VALUE"):
        parse_flow_arguments(arguments)
