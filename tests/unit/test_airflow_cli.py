"""`devstack airflow` and `devstack run --airflow` on the command line, without a stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devstack.cli.airflow import COMMANDS, connections, image, pools, variables, volume
from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.deployers.arguments import sort_arguments
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.source import FlowSource, read_source
from devstack.samples.catalogue import DAG_SAMPLES

NEEDS = {
    "deploy": ["flow.py"],
    "trigger": ["MyFlow"],
    "backfill": ["MyFlow", "--start", "2026-11-01", "--end", "2026-11-02"],
    "test": ["MyFlow", "start"],
    "stop": ["MyFlow"],
    "logs": ["MyFlow"],
    "delete": ["MyFlow"],
    "pools set": ["few", "2"],
    "pools delete": ["few"],
    "connections add": ["shop", "--type", "http"],
    "connections test": ["shop"],
    "connections delete": ["shop"],
    "variables get": ["region"],
    "variables set": ["region", "north"],
    "variables delete": ["region"],
    "variables import": ["variables.json"],
    "variables export": ["out.json"],
    "scale": ["2"],
    "image build": ["."],
    "volume copy": ["."],
}
"""Required arguments of a command."""

GROUPS = {
    "pools": pools.COMMANDS,
    "connections": connections.COMMANDS,
    "variables": variables.COMMANDS,
    "image": image.COMMANDS,
    "volume": volume.COMMANDS,
}
CALLED = [
    *(name for name in COMMANDS if name not in GROUPS),
    *(f"{group} {name}" for group, names in GROUPS.items() for name in names),
]
"""All commands of `devstack airflow`, those of its groups included."""


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to a folder with a flow; there is no stack."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEVSTACK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DEVSTACK_NAME", raising=False)
    (tmp_path / "flow.py").write_text("x = 1\n")
    (tmp_path / "variables.json").write_text("{}")


def called(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, dict[str, Any]]:
    status = run([*argv, "--json"], Output())
    envelope: dict[str, Any] = json.loads(capsys.readouterr().out)
    return status, envelope


@pytest.mark.parametrize("name", CALLED)
def test_each_command_reports_a_missing_stack(
    flow: None, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    status, envelope = called(capsys, "airflow", *name.split(), *NEEDS.get(name, []))
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


@pytest.mark.parametrize("name", ["trigger", "backfill"])
def test_a_limit_of_a_wait_needs_the_wait(
    flow: None, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    argv = ("airflow", name, *NEEDS[name], "--timeout", "9")
    status, envelope = called(capsys, *argv)
    assert status == ExitStatus.USAGE
    assert "add --wait" in envelope["error"]["message"]
    assert called(capsys, *argv, "--wait")[1]["error"]["code"] == "STACK_DOWN"


def test_the_samples_for_airflow_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    _, envelope = called(capsys, "run", "--airflow", "--list")
    names = [sample["name"] for sample in envelope["data"]["samples"]]
    assert names == [sample.name for sample in DAG_SAMPLES]


def test_an_unknown_sample_is_reported_with_the_closest_match(
    flow: None, capsys: pytest.CaptureFixture[str]
) -> None:
    _, envelope = called(capsys, "run", "--airflow", "liner")
    assert "linear" in envelope["error"]["remedy"]


@pytest.fixture
def source(tmp_path: Path) -> FlowSource:
    path = tmp_path / "my_flow.py"
    path.write_text("""
from metaflow import FlowSpec, Parameter, project

@project(name="shop")
class MyFlow(FlowSpec):
    n = Parameter("n", default=1)
    mode = Parameter("mode", default="fast")
""")
    return read_source(path)


def test_arguments_after_dashes_are_sorted_by_where_they_belong(source: FlowSource) -> None:
    typed = ["--n", "3", "--with", "retry", "--mode=a=b", "--config", "c", "c.json", "--tag", "x"]
    for arguments in (typed, ["run", *typed]):
        found = sort_arguments(source, arguments)
        assert found.parameters == {"n": "3", "mode": "a=b"}
        assert sorted(found.metaflow) == ["--config", "--with", "c", "c.json", "retry"]
        assert found.create == ["--tag", "x"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "3"], "3"),
        (["--n"], "--n"),
        (["resume"], "resume"),
        (["resume", "--help"], "resume"),
        (["show"], "show"),
        (["--with", "retry", "card", "list"], "card"),
        (["--max-num-splits", "9"], "--max-num-splits"),
        (["--help"], "--help"),
        (["run", "--n", "3", "--help"], "--help"),
    ],
)
def test_other_arguments_after_dashes_are_rejected_by_name(
    source: FlowSource, arguments: list[str], named: str
) -> None:
    with pytest.raises(DevstackError, match=f"cannot use '{named}' for a deployed flow") as refused:
        sort_arguments(source, arguments)
    assert refused.value.exit_status == ExitStatus.USAGE
