"""Samples on Argo are run, checked in the cluster too, and deleted if they pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devstack.cli.output import Output
from devstack.cli.run_deployed import ENGINES, _select
from devstack.deployers.argo.compile import LAUNCH
from devstack.deployers.argo.deployer import open_deployer
from devstack.deployers.suite import DeployerSuite
from devstack.errors import DevstackError
from devstack.flows.environment import FlowEnvironment
from devstack.kube.client import Object
from devstack.kube.resources import ARGO, JOBSET
from devstack.kube.workflows import SENSOR_LABEL
from devstack.progress import Silent
from devstack.samples.catalogue import ARGO_SAMPLES, find_sample
from devstack.stack import Stack
from tests.fakes.api import FakeApi, namespace, pod
from tests.fakes.argo import argo_stack, node, template, workflow
from tests.fakes.runner import Call, FakeRunner

PYTHON = "python-with-metaflow"
GOOD = json.dumps([{"what": "it ran", "ok": True, "saw": ""}])
BAD = json.dumps([{"what": "it ran", "ok": False, "saw": "nothing"}])
END = "2026-11-27T03:00:09Z"


@pytest.fixture
def api() -> FakeApi:
    up = FakeApi()
    up.add(namespace("metaflow"))
    return up


@pytest.fixture
def runner() -> FakeRunner:
    made = FakeRunner()
    made.answer(PYTHON, stdout=GOOD)
    made.answer(PYTHON, "-c", LAUNCH, effect=compile_template)
    return made


def compile_template(call: Call) -> None:
    """Write the report, as Metaflow's process does."""
    report, flow = Path(call.argv[4]), Path(call.argv[5])
    name = flow.stem.replace("_", "")
    made = {"flow": name.title(), "template": template(name, name.title())}
    report.write_text(json.dumps({**made, "schedule": "", "timezone": ""}))


class Controller(Silent):
    """Ends the workflows that a run waits for.

    Attributes:
        phase: the state in which they end.
        node: a node of each workflow.
        events: the template of which each ended workflow starts a run, by the name of its own.
    """

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.phase = "Succeeded"
        self.node = node("start", "Succeeded", finishedAt=END)
        self.events: dict[str, str] = {}

    def note(self, text: str) -> None:
        for item in self.api.client().list_objects(ARGO, "Workflow", "metaflow"):
            if not item.get("status"):
                self._end(item)

    def _end(self, item: Object) -> None:
        name = item["metadata"]["name"]
        ended = workflow(f"{name}", self.phase, (self.node,), finishedAt=END)
        self.api.add({**item, "status": ended["status"]})
        started = self.events.get(item["spec"]["workflowTemplateRef"]["name"])
        if started:
            run = workflow(f"{started}-7", self.phase, (self.node,), finishedAt=END)
            run["metadata"]["labels"] = {SENSOR_LABEL: started}
            self.api.add(run)


@pytest.fixture
def controller(api: FakeApi) -> Controller:
    return Controller(api)


@pytest.fixture
def suite(
    tmp_path: Path, api: FakeApi, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> DeployerSuite:
    stack: Stack = argo_stack(tmp_path, api, monkeypatch)
    monkeypatch.setattr(stack, "runner", runner)
    env = FlowEnvironment({}, Path(PYTHON), "metaflow", api.client(), tmp_path)
    return DeployerSuite(stack, open_deployer(stack), env, deletes_samples=True)


def named(name: str) -> list[Any]:
    return [find_sample(name, ARGO_SAMPLES)]


def left(api: FakeApi) -> list[str]:
    """Return the templates and workflows that exist."""
    kinds = ("WorkflowTemplate", "Workflow")
    return [item["kind"] for item in api.objects.values() if item["kind"] in kinds]


def test_a_sample_that_passes_is_deleted(
    suite: DeployerSuite, api: FakeApi, runner: FakeRunner, controller: Controller
) -> None:
    (outcome,) = suite.run_samples(named("argo-linear"), 1, controller)
    assert (outcome.verdict, outcome.checked) == ("ok", 2)
    assert left(api) == []
    module = next(call.argv for call in runner.calls if "devstack.samples.checks" in call.argv)
    assert module[3] == "argo_linear"
    assert module[4].startswith("Argolinear/argo-argolinear-")


def test_a_sample_with_a_failed_check_stays_for_its_logs(
    suite: DeployerSuite, api: FakeApi, runner: FakeRunner, controller: Controller
) -> None:
    runner.answer(PYTHON, stdout=BAD)
    (outcome,) = suite.run_samples(named("argo-linear"), 1, controller)
    assert outcome.wrong == ["it ran: nothing"]
    assert sorted(left(api)) == ["Workflow", "WorkflowTemplate"]


def test_a_failed_run_is_reported_and_stays(
    suite: DeployerSuite, api: FakeApi, controller: Controller
) -> None:
    controller.phase = "Failed"
    controller.node = node("start", "Failed", finishedAt=END, message="exit 1")
    (outcome,) = suite.run_samples(named("argo-linear"), 1, controller)
    assert outcome.error is not None
    assert outcome.error.code == "RUN_FAILED"
    assert sorted(left(api)) == ["Workflow", "WorkflowTemplate"]


def test_a_sample_of_events_is_the_run_that_the_other_flows_end_starts(
    suite: DeployerSuite, api: FakeApi, runner: FakeRunner, controller: Controller
) -> None:
    controller.events = {"argoeventssource": "argoevents"}
    (outcome,) = suite.run_samples(named("argo-events"), 1, controller)
    assert outcome.verdict == "ok", outcome.wrong
    assert left(api) == []
    checked = next(call.argv for call in runner.calls if "devstack.samples.checks" in call.argv)
    assert checked[4] == "Argoevents/argo-argoevents-7"


def gang(api: FakeApi, started: str, label: str = "true") -> None:
    """Add a JobSet of two pods, the second of which gets its node at second 5."""
    spec = {"template": {"spec": {"parallelism": 1}}, "name": "worker", "replicas": 2}
    metadata = {"name": "js-1", "namespace": "metaflow", "labels": {"devstack.dev/gang": label}}
    api.add(
        {
            "apiVersion": JOBSET,
            "kind": "JobSet",
            "metadata": metadata,
            "spec": {"replicatedJobs": [spec]},
        }
    )
    for number, second in enumerate((4, 5)):
        bound = {
            "type": "PodScheduled",
            "status": "True",
            "lastTransitionTime": f"2026-11-27T03:00:0{second}Z",
        }
        state = {"terminated": {"startedAt": started, "reason": "Completed"}}
        labels = {"jobset.sigs.k8s.io/jobset-name": "js-1"}
        status = [{"name": "meet", "state": state}]
        made = pod(f"p{number}", "metaflow", labels=labels, containerStatuses=status)
        made["status"]["conditions"] = [bound]
        api.add(made)


@pytest.mark.parametrize(
    ("started", "label", "wrong"),
    [
        ("2026-11-27T03:00:05Z", "true", ""),
        ("2026-11-27T03:00:04Z", "true", "each pod had a node before the first one started"),
        ("2026-11-27T03:00:05Z", "false", "JobSet js-1 is a gang"),
    ],
)
def test_a_jobset_of_a_sample_must_have_started_as_a_gang(
    suite: DeployerSuite,
    api: FakeApi,
    controller: Controller,
    started: str,
    label: str,
    wrong: str,
) -> None:
    gang(api, started, label)
    inputs = {"parameters": [{"name": "jobset-name", "value": "js-1"}]}
    controller.node = node("meet", "Succeeded", finishedAt=END, inputs=inputs)
    (outcome,) = suite.run_samples(named("argo-gang"), 1, controller)
    assert outcome.checked == 5
    assert [each.partition(":")[0] for each in outcome.wrong] == ([wrong] if wrong else [])


def test_a_jobset_that_is_gone_is_no_gang(suite: DeployerSuite, controller: Controller) -> None:
    inputs = {"parameters": [{"name": "jobset-name", "value": "js-1"}]}
    controller.node = node("meet", "Succeeded", finishedAt=END, inputs=inputs)
    (outcome,) = suite.run_samples(named("argo-gang"), 1, controller)
    assert outcome.wrong == ["JobSet js-1 exists: it was deleted"]


def test_a_sample_that_needs_a_service_is_left_out_with_the_reason(
    suite: DeployerSuite, capsys: pytest.CaptureFixture[str]
) -> None:
    (engine,) = (each for each in ENGINES if each.name == "argo")
    stack = suite.stack
    stack.services = [each for each in stack.services if each.name != "argo-events"]
    output = Output()
    left = _select(output, engine, ARGO_SAMPLES, stack, explicit=False)
    assert "argo-events" not in {sample.name for sample in left}
    shown = capsys.readouterr().out
    assert "argo-events is left out" in shown
    assert "devstack up --with argo-events" in shown
    with pytest.raises(DevstackError) as refused:
        _select(output, engine, ARGO_SAMPLES, stack, explicit=True)
    assert refused.value.code == "SAMPLE_UNSUPPORTED"
