"""Samples for Airflow run at once, are checked, and are ended where the user stops them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from devstack.airflow.client import AirflowUnavailableError
from devstack.airflow.runs import DagRun, Task
from devstack.deployers.airflow import suite as suite_module
from devstack.deployers.airflow.connect import StackAirflow
from devstack.deployers.airflow.deploy import Deployment
from devstack.deployers.airflow.follow import RunResult
from devstack.deployers.airflow.suite import DagSuite
from devstack.errors import DevstackError
from devstack.flows.environment import FlowEnvironment
from devstack.progress import Silent
from devstack.samples.catalogue import DAG_SAMPLES, find_sample
from tests.fakes.api import FakeApi
from tests.fakes.runner import FakeClock, FakeRunner

GOOD = json.dumps([{"what": "it ran", "ok": True, "saw": ""}])
BAD = json.dumps([{"what": "it ran", "ok": False, "saw": "nothing"}])
TASK = Task("start", -1, "success", 1, 10.0, 11.0, 15.0)


class FakeDags:
    """What deploying, triggering and following do, without an Airflow."""

    def __init__(self) -> None:
        self.paused: list[str] = []
        self.ended: list[str] = []
        self.state = "success"
        self.stops = False
        self.scheduled: list[DagRun] = []
        self.away = 0

    def deploy(self, call: Any, *_: Any) -> Deployment:
        name = call.source.name
        if name == "scheduled":
            self.scheduled = [run(name, "scheduled", "running")]
            self.away = 2
        return Deployment(name, name.title(), "", False, (), 1.0, 1.0, "http://airflow")

    def trigger(self, _client: Any, dag_id: str, _given: Any) -> DagRun:
        return run(dag_id, "manual", "running")

    def follow(self, _airflow: Any, each: DagRun, *_: Any) -> RunResult:
        if self.stops:
            raise KeyboardInterrupt
        return RunResult(run(each.dag_id, each.kind, self.state), [TASK])

    def list_runs(self, *_: Any, **__: Any) -> list[DagRun]:
        if self.away:
            self.away -= 1
            raise AirflowUnavailableError("http://airflow", "connection refused")
        return self.scheduled

    def set_paused(self, _client: Any, dag_id: str, _paused: bool) -> None:
        self.paused.append(dag_id)

    def end_run(self, _airflow: Any, each: DagRun) -> None:
        self.ended.append(each.dag_id)

    def failure_of(self, _airflow: Any, result: RunResult) -> DevstackError:
        return DevstackError(f"{result.run.dag_id} failed", code="RUN_FAILED")


def run(dag_id: str, kind: str, state: str) -> DagRun:
    return DagRun(dag_id, f"{kind}__1", state, kind, 10.0, 16.0, {})


@pytest.fixture
def dags(monkeypatch: pytest.MonkeyPatch) -> FakeDags:
    fake = FakeDags()
    for name in (
        "deploy",
        "trigger",
        "follow",
        "list_runs",
        "set_paused",
        "end_run",
        "failure_of",
    ):
        monkeypatch.setattr(suite_module, name, getattr(fake, name))
    return fake


@pytest.fixture
def runner() -> FakeRunner:
    fake = FakeRunner()
    fake.answer(sys.executable, stdout=GOOD)
    return fake


@pytest.fixture
def suite(runner: FakeRunner, tmp_path: Path) -> DagSuite:
    kube = FakeApi().client()
    nothing: Any = None
    airflow = StackAirflow(nothing, nothing, kube, "metaflow", runner, FakeClock(), 60)
    env = FlowEnvironment({}, Path(sys.executable), "metaflow", kube, tmp_path)
    return DagSuite(airflow, env)


def named(*names: str) -> list[Any]:
    return [find_sample(name, DAG_SAMPLES) for name in names]


def test_samples_are_run_checked_and_returned_in_order(
    suite: DagSuite, runner: FakeRunner, dags: FakeDags
) -> None:
    outcomes = suite.run_samples(named("linear", "fanout"), 2, Silent())
    assert [(each.sample.name, each.verdict) for each in outcomes] == [
        ("linear", "ok"),
        ("fanout", "ok"),
    ]
    seen = {call.argv[-1]: json.loads(str(call.input)) for call in runner.calls}
    metaflow_id = run("linear", "manual", "success").metaflow_id
    assert seen[f"Linear/{metaflow_id}"][0]["step"] == "start"


def test_a_sample_alone_takes_the_time_of_its_run(suite: DagSuite, dags: FakeDags) -> None:
    [outcome] = suite.run_samples(named("linear"), 1, Silent())
    assert outcome.as_dict()["seconds"] == 6.0
    assert outcome.result is not None
    assert outcome.result.timing.running == 4.0


def test_what_a_check_finds_wrong_fails_the_sample(
    suite: DagSuite, runner: FakeRunner, dags: FakeDags
) -> None:
    runner.answer(sys.executable, stdout=BAD)
    [outcome] = suite.run_samples(named("linear"), 1, Silent())
    assert outcome.wrong == ["it ran: nothing"]


def test_a_run_that_fails_is_reported_and_not_checked(
    suite: DagSuite, runner: FakeRunner, dags: FakeDags
) -> None:
    dags.state = "failed"
    [outcome] = suite.run_samples(named("linear"), 1, Silent())
    assert outcome.error is not None
    assert outcome.error.code == "RUN_FAILED"
    assert runner.calls == []


def test_the_scheduled_one_is_followed_and_then_silenced_though_airflow_was_away(
    suite: DagSuite, dags: FakeDags
) -> None:
    [outcome] = suite.run_samples(named("scheduled"), 1, Silent())
    assert outcome.ok
    assert dags.paused == ["scheduled"]
    assert dags.ended == ["scheduled"]


def test_ctrl_c_ends_the_runs_under_way(suite: DagSuite, dags: FakeDags) -> None:
    dags.stops = True
    with pytest.raises(KeyboardInterrupt):
        suite.run_samples(named("linear"), 1, Silent())
    assert dags.ended == ["linear"]
