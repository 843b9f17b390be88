"""Samples run concurrently on Airflow, are checked, and are stopped by Ctrl-C."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack.airflow.runs import DagRun
from devstack.deployers.airflow.compile import LAUNCH
from devstack.deployers.airflow.deployer import AirflowDeployer
from devstack.deployers.base import DeployOptions, RunResult
from devstack.deployers.suite import DeployerSuite
from devstack.errors import DevstackError
from devstack.flows.environment import FlowEnvironment
from devstack.flows.source import read_source
from devstack.progress import Silent
from devstack.samples.catalogue import DAG_SAMPLES, find_sample
from devstack.schema import EndedDagRun, SampleOutcome, dump
from tests.fakes.airflow import airflow_deployer
from tests.fakes.airflow_server import AirflowServer
from tests.fakes.runner import Call, FakeRunner

PYTHON = "python-with-metaflow"
GOOD = json.dumps([{"what": "it ran", "ok": True, "saw": ""}])
BAD = json.dumps([{"what": "it ran", "ok": False, "saw": "nothing"}])
START_DATE = "2026-11-21T15:18:46.878654"


class FakeDags:
    """The DAGs and runs of a fake Airflow.

    Attributes:
        state: the state in which runs end.
        runs: run items by DAG.
    """

    def __init__(self, server: AirflowServer) -> None:
        self.server = server
        self.state = "success"
        self.runs: dict[str, list[dict[str, Any]]] = {}
        server.answer("GET", "/importErrors", (200, {"import_errors": [], "total_entries": 0}))
        server.answer("GET", "/dags/~/dagRuns", (200, {"dag_runs": []}))

    def add(self, dag_id: str) -> None:
        """Add a DAG that has just been compiled."""
        details = {"start_date": START_DATE, "is_paused": False}
        self.runs[dag_id] = []
        self.server.answer("GET", f"/dags/{dag_id}/details", (200, details))
        self.server.answer("PATCH", f"/dags/{dag_id}", (200, {}))
        self.server.answer(
            "POST", f"/dags/{dag_id}/dagRuns", lambda _query: (200, self.add_run(dag_id, "manual"))
        )
        self.server.answer(
            "GET", f"/dags/{dag_id}/dagRuns", lambda _query: (200, {"dag_runs": self.runs[dag_id]})
        )

    def add_run(self, dag_id: str, kind: str) -> dict[str, Any]:
        """Start a run; return its item."""
        item = {
            "dag_id": dag_id,
            "dag_run_id": f"{kind}__1",
            "state": "running",
            "run_type": kind,
            "start_date": "2026-11-21T15:00:10+00:00",
        }
        ended = {**item, "state": self.state, "end_date": "2026-11-21T15:00:16+00:00"}
        task = {
            "task_id": "start",
            "state": self.state,
            "try_number": 1,
            "queued_when": "2026-11-21T15:00:10+00:00",
            "start_date": "2026-11-21T15:00:11+00:00",
            "end_date": "2026-11-21T15:00:15+00:00",
        }
        path = f"/dags/{dag_id}/dagRuns/{kind}__1"
        self.runs[dag_id].append(item)
        self.server.answer("GET", path, (200, item), (200, ended))
        self.server.answer("PATCH", path, (200, {}))
        tasks = {"task_instances": [task], "total_entries": 1}
        self.server.answer("GET", f"{path}/taskInstances", (200, tasks))
        self.server.answer("GET", f"{path}/taskInstances/start/logs/1", (200, "[base] broken\n"))
        return item

    @property
    def paused(self) -> list[str]:
        """The DAGs that were paused."""
        patches = self.server.requested("PATCH")
        return [path.split("/")[2] for path, body in patches if body.get("is_paused")]

    @property
    def stopped(self) -> list[str]:
        """The DAGs of the runs that were stopped."""
        patches = self.server.requested("PATCH")
        return [path.split("/")[2] for path, body in patches if body.get("state") == "failed"]


class Interrupting(Silent):
    """Presses Ctrl-C when a run is followed."""

    def note(self, text: str) -> None:
        if text == "the scheduler is between tasks":
            raise KeyboardInterrupt


@pytest.fixture
def dags() -> Iterator[FakeDags]:
    server = AirflowServer()
    yield FakeDags(server)
    server.stop()


@pytest.fixture
def deployer(dags: FakeDags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AirflowDeployer:
    deployer, _api, runner = airflow_deployer(dags.server, tmp_path, monkeypatch)
    runner.answer(PYTHON, stdout=GOOD)
    runner.answer(
        PYTHON,
        "-c",
        LAUNCH,
        effect=lambda call: compile_dag(call, dags),
    )
    return deployer


def compile_dag(call: Call, dags: FakeDags) -> None:
    """Write the DAG file and the report, as Metaflow's process does."""
    report, flow = Path(call.argv[4]), Path(call.argv[5])
    dag_id = flow.stem.title()
    facts = {
        "dag_id": dag_id,
        "flow": dag_id,
        "start_date": START_DATE,
        "schedule": "",
        "pools": [],
    }
    report.write_text(json.dumps(facts))
    Path(call.argv[call.argv.index("create") + 1]).write_text("the file")
    dags.add(dag_id)
    if flow.stem == "scheduled":
        dags.add_run(dag_id, "scheduled")


@pytest.fixture
def runner(deployer: AirflowDeployer) -> FakeRunner:
    assert isinstance(deployer.stack.runner, FakeRunner)
    return deployer.stack.runner


@pytest.fixture
def suite(deployer: AirflowDeployer, tmp_path: Path) -> DeployerSuite:
    kube = deployer.stack.kube()
    env = FlowEnvironment({}, Path(PYTHON), "metaflow", kube, tmp_path)
    return DeployerSuite(deployer.stack, deployer, env)


def named(*names: str) -> list[Any]:
    return [find_sample(name, DAG_SAMPLES) for name in names]


def checks(runner: FakeRunner) -> list[Call]:
    """Return the calls that check a sample's results."""
    return [call for call in runner.calls if call.argv[0] == PYTHON and "create" not in call.argv]


def test_samples_are_run_checked_and_returned_in_order(
    suite: DeployerSuite, runner: FakeRunner
) -> None:
    outcomes = suite.run_samples(named("linear", "fanout"), 2, Silent())
    assert [(each.sample.name, each.verdict) for each in outcomes] == [
        ("linear", "ok"),
        ("fanout", "ok"),
    ]
    inputs = {call.argv[-1]: json.loads(str(call.input)) for call in checks(runner)}
    run = DagRun("Linear", "manual__1", "success", "manual", None, None, {})
    assert inputs[f"Linear/{run.metaflow_id}"][0]["step"] == "start"


def test_a_runs_parameters_are_checked_with_the_flow_and_reach_the_run(
    suite: DeployerSuite, runner: FakeRunner, dags: FakeDags
) -> None:
    given: list[dict[str, str]] = []

    def compile_and_keep(call: Call) -> None:
        given.append(json.loads(Path(call.argv[4]).read_text())["parameters"])
        compile_dag(call, dags)
        params = {"n": {"schema": {"type": "integer"}}}
        details = {"start_date": START_DATE, "is_paused": False, "params": params}
        dags.server.answer("GET", "/dags/Linear/details", (200, details))

    runner.answer(PYTHON, "-c", LAUNCH, effect=compile_and_keep)
    [sample] = named("linear")
    suite.run_flow(DeployOptions(read_source(sample.file), parameters={"n": "3"}), lambda _: None)
    [(_, body)] = dags.server.requested("POST")
    assert (given, body["conf"]) == ([{"n": "3"}], {"n": 3})


def test_the_time_of_a_sample_is_that_of_its_run(suite: DeployerSuite) -> None:
    [outcome] = suite.run_samples(named("linear"), 1, Silent())
    assert dump(SampleOutcome[EndedDagRun], outcome)["seconds"] == 6.0
    assert outcome.result is not None
    assert outcome.result.timing.running == 4.0


def test_a_failed_check_fails_the_sample(suite: DeployerSuite, runner: FakeRunner) -> None:
    runner.answer(PYTHON, stdout=BAD)
    [outcome] = suite.run_samples(named("linear"), 1, Silent())
    assert outcome.wrong == ["it ran: nothing"]


def test_a_failed_run_is_reported_and_not_checked(
    suite: DeployerSuite, runner: FakeRunner, dags: FakeDags
) -> None:
    dags.state = "failed"
    [outcome] = suite.run_samples(named("linear"), 1, Silent())
    assert outcome.error is not None
    assert outcome.error.code == "RUN_FAILED"
    assert outcome.error.output == "broken"
    assert checks(runner) == []


def test_a_scheduled_sample_is_followed_through_an_outage_and_then_paused(
    suite: DeployerSuite, dags: FakeDags
) -> None:
    outage = (503, "starting")

    def runs(_query: Any) -> tuple[int, Any]:
        return outages.pop() if outages else (200, {"dag_runs": dags.runs["Scheduled"]})

    outages = [outage, outage]
    add = dags.add

    def add_with_outage(dag_id: str) -> None:
        add(dag_id)
        dags.server.answer("GET", f"/dags/{dag_id}/dagRuns", runs)

    dags.add = add_with_outage  # type: ignore[method-assign]
    [outcome] = suite.run_samples(named("scheduled"), 1, Silent())
    assert outcome.ok
    assert outages == []
    assert dags.paused == ["Scheduled"]
    assert dags.stopped == ["Scheduled"]


def test_ctrl_c_stops_active_runs(suite: DeployerSuite, dags: FakeDags) -> None:
    dags.state = "none"
    with pytest.raises(KeyboardInterrupt):
        suite.run_samples(named("linear"), 1, Interrupting())
    assert dags.stopped == ["Linear"]


def test_a_backfilled_sample_is_checked_for_each_day(
    suite: DeployerSuite, runner: FakeRunner, dags: FakeDags, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [DagRun("Backfill", f"backfill__{day}", "success", "manual", 0, 1, {}) for day in "123"]
    results = [RunResult(run, [], ok=True) for run in runs]
    asked: list[Any] = []

    def backfill(_deployer: Any, *arguments: Any) -> list[Any]:
        asked.extend(arguments)
        return results

    monkeypatch.setattr(AirflowDeployer, "backfill", backfill)
    [outcome] = suite.run_samples(named("backfill"), 1, Silent())
    assert outcome.verdict == "ok"
    (first, last), parameter = asked[1:3]
    assert ((last - first).days, parameter) == (2, "day")
    assert [call.argv[-1] for call in checks(runner)] == [f"Backfill/{r.metaflow_id}" for r in runs]
    assert dags.paused == ["Backfill"]


def test_a_failed_backfill_fails_the_sample_and_pauses_the_dag(
    suite: DeployerSuite, dags: FakeDags, monkeypatch: pytest.MonkeyPatch
) -> None:
    def backfill(*_arguments: Any) -> list[Any]:
        raise DevstackError("a day failed", code="RUN_FAILED")

    monkeypatch.setattr(AirflowDeployer, "backfill", backfill)
    [outcome] = suite.run_samples(named("backfill"), 1, Silent())
    assert outcome.wrong == ["a day failed"]
    assert dags.paused == ["Backfill"]
