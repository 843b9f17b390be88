"""What `devstack airflow` shows of deployed flows, from DAG files that Metaflow compiled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.deployers.airflow.compile import CompiledDag
from devstack.deployers.airflow.deployed_flow import compiled_config
from devstack.deployers.airflow.literals import literal_text, template_literal
from devstack.errors import ExitStatus
from devstack.flows.source import FlowSource
from tests.fakes.airflow import airflow_deployer
from tests.fakes.airflow_server import AirflowServer
from tests.fakes.s3 import fake_s3
from tests.support.dag_compilation import compile_environment, compile_source

FLOW = """
from metaflow import *
@project(name="shop")
@schedule(hourly=True)
class MyFlow(FlowSpec):
    my_n = Parameter("my-n", default=1, help="how many")
    items = Parameter("items", type=JSONType, default='{"a": 1}')
    @step
    def start(self):
        self.next(self.end)
    @step
    def end(self):
        pass
if __name__ == "__main__":
    MyFlow()
"""
DAG = "shop.user.tester.MyFlow"
RUNS = [
    {"dag_id": DAG, "dag_run_id": f"manual__{n}", "state": state, "run_type": "manual"}
    for n, state in enumerate(("running", "success"))
]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> CompiledDag:
    folder = tmp_path_factory.mktemp("compiled")
    path = folder / "my_flow.py"
    path.write_text(FLOW)
    with fake_s3() as s3:
        return compile_source(FlowSource(path), compile_environment(folder, s3))


@pytest.fixture
def server(
    compiled: CompiledDag, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AirflowServer]:
    """An Airflow with a compiled flow, a DAG that is none, and two runs of the flow."""
    server = AirflowServer()
    deployer, _api, _runner = airflow_deployer(server, tmp_path / "stack", monkeypatch)
    monkeypatch.setattr("devstack.stack.open_stack", lambda *_a, **_o: deployer.stack)
    items = [
        {"dag_id": DAG, "is_paused": True, "schedule_interval": {"value": "@hourly"}},
        {"dag_id": "plain", "is_paused": False},
    ]
    server.answer("GET", "/dags", (200, {"dags": items, "total_entries": 2}))
    for item, text in zip(items, (compiled.text, "CONFIG = {'metadata': {}}"), strict=True):
        details = {**item, "file_token": f"token of {item['dag_id']}"}
        server.answer("GET", f"/dags/{item['dag_id']}/details", (200, details))
        token = details["file_token"].replace(" ", "%20")
        server.answer("GET", f"/dagSources/{token}", (200, text))
    for path in ("~", DAG):
        answer = (200, {"dag_runs": RUNS, "total_entries": 2})
        server.answer("GET", f"/dags/{path}/dagRuns", answer)
    yield server
    server.stop()


def called(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, dict[str, Any]]:
    status = run(["airflow", *argv, "--json"], Output())
    envelope: dict[str, Any] = json.loads(capsys.readouterr().out)
    return status, envelope


def test_a_dag_is_shown_with_what_its_flow_is(
    server: AirflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    status, envelope = called(capsys, "show", "MyFlow")
    assert status == ExitStatus.OK
    (flow,) = envelope["data"]["flows"]
    assert flow.pop("production_token").startswith("mfprj-")
    assert {each["name"]: each for each in flow.pop("parameters")} == {
        "my-n": {"name": "my-n", "kind": "integer", "default": 1, "description": "how many"},
        "items": {"name": "items", "kind": "json", "default": '{"a": 1}', "description": ""},
    }
    assert flow == {
        "dag_id": DAG,
        "flow": "MyFlow",
        "owner": "tester",
        "project": "shop",
        "branch": "user.tester",
        "schedule": "@hourly",
        "paused": True,
        "url": f"{server.url}/dags/{DAG}/grid",
    }


def test_all_flows_are_shown_without_other_dags(
    server: AirflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    _, envelope = called(capsys, "show")
    assert [flow["dag_id"] for flow in envelope["data"]["flows"]] == [DAG]
    assert run(["airflow", "show"], Output()) == ExitStatus.OK
    shown = capsys.readouterr().out
    assert f"{DAG} (paused)" in shown
    assert "MyFlow of shop, branch user.tester, deployed by tester" in shown


@pytest.mark.parametrize("status", [404, 500])
def test_a_dag_whose_file_is_gone_does_not_hide_the_others(
    server: AirflowServer, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    server.answer("GET", "/dagSources/token%20of%20plain", (status, {"title": "an error"}))
    _, envelope = called(capsys, "show")
    assert [flow["dag_id"] for flow in envelope["data"]["flows"]] == [DAG]


def test_a_dag_that_is_not_a_flow_is_named(
    server: AirflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    status, envelope = called(capsys, "show", "plain")
    assert (status, envelope["error"]["code"]) == (ExitStatus.USAGE, "DAG_NOT_A_FLOW")


@pytest.mark.parametrize(
    "source", ["", "x = (", "CONFIG = []", "CONFIG = {**other}", "CONFIG = dict(a=1)"]
)
def test_other_files_have_no_flow(source: str) -> None:
    assert compiled_config(source) is None


@pytest.mark.parametrize("text", ["", "plain", "a {{ b }}", "ä\n'\"$"])
def test_the_text_of_a_template_is_restored(text: str) -> None:
    assert literal_text(template_literal(text)) == text


def test_one_run_of_a_dag_is_listed_by_its_id(
    server: AirflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    _, envelope = called(capsys, "runs", "MyFlow", "--run", "manual__1")
    (found,) = envelope["data"]["runs"]
    assert (found["dag_run_id"], found["state"]) == ("manual__1", "success")
    _, envelope = called(capsys, "runs", DAG, "--run", found["metaflow_run_id"])
    assert [each["dag_run_id"] for each in envelope["data"]["runs"]] == ["manual__1"]
    assert f"/dags/{DAG}/dagRuns" in [path for _, path, _ in server.requests]


def test_a_running_run_is_stopped(
    server: AirflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    path = f"/dags/{DAG}/dagRuns/manual__0"
    server.answer("PATCH", path, (200, {}))
    status, envelope = called(capsys, "stop", "manual__0")
    assert (status, envelope["data"]["stopped"]) == (ExitStatus.OK, True)
    assert server.requested("PATCH") == [(path, {"state": "failed"})]


def test_a_run_that_has_ended_is_left_alone(
    server: AirflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    status, envelope = called(capsys, "stop", "manual__1")
    assert (status, envelope["data"]["stopped"]) == (ExitStatus.OK, False)
    assert server.requested("PATCH") == []
