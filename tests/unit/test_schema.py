from __future__ import annotations

from pathlib import Path

from devstack import schema
from devstack.airflow.runs import DagRun, Task
from devstack.deployers.base import Deployment, RunResult
from devstack.errors import DevstackError
from devstack.flows.pods import TaskPod
from devstack.flows.result import FlowResult
from devstack.flows.suite import SampleOutcome
from devstack.flows.timing import Timing
from devstack.samples.catalogue import SAMPLES
from devstack.schema import dump

POD = TaskPod("t-1", "start", 0, "", "Succeeded", "", "200m", 120, 1.0, 2.0, 3.0, 7.5)
RUN = FlowResult("hello", "HelloFlow", "42", 0, None, Timing(9.004, 4.5, 1.5), [POD], ["done"])
DAG_RUN = DagRun("hello", "manual__1", "success", "manual", 1.125, 8.2522, {"*who": "you"})
TASK = Task("start", -1, "success", 1, 1.0, 2.0, 3.0)
RUN_JSON = {
    "flow": "HelloFlow",
    "run_id": "42",
    "status": 0,
    "seconds": 9.0,
    "running_seconds": 4.5,
    "waiting_seconds": 1.5,
    "overhead_seconds": 3.0,
    "pods": [
        {
            "name": "t-1",
            "step": "start",
            "attempt": 0,
            "jobset": "",
            "phase": "Succeeded",
            "reason": "",
            "message": "",
            "exit_status": 0,
            "cpu": "200m",
            "deadline_seconds": 120,
            "seconds": 4.5,
        }
    ],
    "places": {},
    "stalls": [],
    "log": ".",
}
DAG_RUN_JSON = {
    "dag_id": "hello",
    "dag_run_id": "manual__1",
    "metaflow_run_id": DAG_RUN.metaflow_id,
    "state": "success",
    "kind": "manual",
    "began": 1.125,
    "seconds": 7.13,
    "conf": {"*who": "you"},
}


def outcome(
    result: FlowResult | RunResult[DagRun] | None, error: DevstackError | None
) -> SampleOutcome:
    wrong = ["it ran: nothing"] if error else []
    return SampleOutcome(SAMPLES[0], result, 7, wrong, error, 11.5)


def test_a_run_is_shown_with_its_times_and_pods() -> None:
    assert dump(schema.FlowRun, RUN) == RUN_JSON


def test_a_dag_run_is_shown_with_its_tasks() -> None:
    assert dump(schema.DagRun, DAG_RUN) == DAG_RUN_JSON
    shown = dump(schema.EndedDagRun, RunResult(DAG_RUN, [TASK], ok=True))
    task = {"step": "start", "index": -1, "state": "success", "attempts": 1}
    times = {"queued": 1.0, "began": 2.0, "ended": 3.0}
    place = {"pool": "", "queue": "", "worker": "", "executor": ""}
    assert shown == {**DAG_RUN_JSON, "tasks": [{**task, **times, **place}]}


def test_a_dag_run_that_has_not_begun_took_no_time() -> None:
    waiting = DagRun("hello", "manual__1", "queued", "manual", None, None, {})
    shown = dump(schema.DagRun, waiting)
    assert (shown["began"], shown["seconds"]) == (None, 0.0)


def test_a_sample_is_shown_as_its_run_and_what_was_checked() -> None:
    (shown,) = dump(list[schema.SampleOutcome[schema.FlowRun]], [outcome(RUN, None)])
    assert shown == {
        **RUN_JSON,
        "name": SAMPLES[0].name,
        "shows": SAMPLES[0].shows,
        "result": "ok",
        "ok": True,
        "checked": 7,
        "wrong": [],
        "check_seconds": 2.5,
        "error": None,
    }


def test_a_sample_that_could_not_run_is_shown_with_the_error() -> None:
    error = DevstackError("cannot run", cause="why", remedy="next", code="CODE", output="a\n\nb\n")
    assert dump(schema.SampleOutcome[schema.EndedDagRun], outcome(None, error)) == {
        "name": SAMPLES[0].name,
        "shows": SAMPLES[0].shows,
        "result": "failed",
        "ok": False,
        "checked": 7,
        "wrong": ["it ran: nothing"],
        "check_seconds": 11.5,
        "error": {
            "code": "CODE",
            "message": "cannot run",
            "cause": "why",
            "remedy": "next",
            "output": ["a", "b"],
        },
    }


def test_paths_are_shown_as_text() -> None:
    result = FlowResult("x", "X", "1", 1, None, Timing(1, 0, 0), (), (), log=Path("/logs/x"))
    assert dump(schema.FlowRun, result)["log"] == "/logs/x"


def test_a_deployment_is_shown_with_the_details_of_its_engine() -> None:
    details = {"dag_id": "hello", "pools": ["few"]}
    deployment = Deployment("hello", "Hello", "@daily", False, "http://x", 1.0, 2.345, details)
    assert dump(schema.Deployment, deployment) == {
        "dag_id": "hello",
        "pools": ["few"],
        "flow": "Hello",
        "schedule": "@daily",
        "paused": False,
        "compile_seconds": 2.35,
        "url": "http://x",
    }
