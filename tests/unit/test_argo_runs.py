"""Delivering, triggering, following and deleting on Argo, against a Kubernetes API in memory."""

from __future__ import annotations

import base64
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstack.deployers.argo.compile import CompiledTemplate
from devstack.deployers.argo.deployer import ArgoDeployer, open_deployer
from devstack.deployers.argo.parameters import EXACT, encode_value
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import Object
from devstack.kube.resources import ARGO
from devstack.services import SERVICES
from devstack.stack import Stack
from tests.fakes.api import FakeApi, namespace, pod
from tests.fakes.argo import argo_stack, node, template, workflow

COMPILED = CompiledTemplate("MyFlow", template(), "", "", paused=False, output="")


@pytest.fixture
def api() -> FakeApi:
    up = FakeApi()
    up.add(namespace("metaflow"))
    return up


@pytest.fixture
def stack(tmp_path: Path, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Stack:
    return argo_stack(tmp_path, api, monkeypatch)


@pytest.fixture
def argo(stack: Stack) -> ArgoDeployer:
    return open_deployer(stack)


def stored(api: FakeApi, kind: str) -> Object | None:
    return api.client().find(ARGO, kind, "myflow", "metaflow")


def silent(_text: str) -> None:
    """Show nothing."""


def error_of(act: Any, *arguments: Any, **options: Any) -> DevstackError:
    with pytest.raises(DevstackError) as caught:
        act(*arguments, **options)
    return caught.value


def test_a_stack_without_argo_says_how_to_get_it(stack: Stack) -> None:
    stack.services = tuple(each for each in SERVICES if each.name != "argo")
    error = error_of(open_deployer, stack)
    assert (error.code, error.exit_status) == ("ARGO_DISABLED", ExitStatus.USAGE)
    assert "--with argo" in (error.remedy or "")


def test_a_template_is_created_then_replaced(argo: ArgoDeployer, api: FakeApi) -> None:
    deployment = argo.deliver(COMPILED, silent)
    assert (deployment.name, deployment.flow) == ("myflow", "MyFlow")
    assert deployment.url == "http://127.0.0.1:42746/workflow-templates/metaflow/myflow"
    changed = template()
    changed["metadata"]["annotations"].pop("metaflow/parameters")
    argo.deliver(replace(COMPILED, template=changed), silent)
    live = stored(api, "WorkflowTemplate")
    assert live is not None
    assert "metaflow/parameters" not in live["metadata"]["annotations"]


def test_a_compiled_flow_is_written_as_manifests(argo: ArgoDeployer, tmp_path: Path) -> None:
    path = argo.write(replace(COMPILED, schedule="0 * * * *"), tmp_path)
    assert path == tmp_path / "myflow.yaml"
    made, cron = yaml.safe_load_all(path.read_text())
    assert (made["apiVersion"], made["kind"], made["metadata"]["name"]) == (
        ARGO,
        "WorkflowTemplate",
        "myflow",
    )
    assert cron["spec"]["workflowSpec"] == {"workflowTemplateRef": {"name": "myflow"}}
    assert len(list(yaml.safe_load_all(argo.render(COMPILED)))) == 1
    error = error_of(argo.write, COMPILED, tmp_path / "missing" / "file")
    assert (error.code, error.exit_status) == ("TEMPLATE_NOT_WRITTEN", ExitStatus.USAGE)


def test_a_schedule_comes_and_goes_with_the_deployment(argo: ArgoDeployer, api: FakeApi) -> None:
    scheduled = replace(COMPILED, schedule="0 * * * *", timezone="Europe/Berlin", paused=True)
    argo.deliver(scheduled, silent)
    cron = stored(api, "CronWorkflow")
    assert cron is not None
    assert cron["spec"]["schedules"] == ["0 * * * *"]
    assert (cron["spec"]["timezone"], cron["spec"]["suspend"]) == ("Europe/Berlin", True)
    # Argo's own limits: it deletes all but three runs, and all failed ones but one.
    limits = [cron["spec"][f"{kind}JobsHistoryLimit"] for kind in ("successful", "failed")]
    assert limits == [10_000, 10_000]
    (listed,) = argo.deployments()
    assert (listed["schedule"], listed["suspended"]) == ("0 * * * *", True)
    argo.set_paused("myflow", False)
    assert not argo.deployments()[0]["suspended"]
    argo.deliver(COMPILED, silent)
    assert stored(api, "CronWorkflow") is None
    assert error_of(argo.set_paused, "myflow", True).code == "SCHEDULE_NONE"


def test_a_concurrent_deployment_is_reported(argo: ArgoDeployer, api: FakeApi) -> None:
    argo.deliver(COMPILED, silent)
    api.refuse("PUT", "/workflowtemplates/myflow", 409, "Conflict", "modified")
    assert error_of(argo.deliver, COMPILED, silent).code == "DEPLOYED_MEANWHILE"


def test_a_deployment_is_found_by_its_name_or_its_flows(argo: ArgoDeployer, api: FakeApi) -> None:
    api.add(template(), template("other", "Other"), template("other.b", "Other"))
    assert argo.resolve("MyFlow") == argo.resolve("myflow") == "myflow"
    assert error_of(argo.resolve, "Other").code == "DEPLOYMENT_AMBIGUOUS"
    error = error_of(argo.resolve, "MyFlo")
    assert (error.code, "MyFlow" in (error.remedy or "")) == ("DEPLOYMENT_UNKNOWN", True)


def test_parameters_arrive_as_json_of_their_types(argo: ArgoDeployer, api: FakeApi) -> None:
    api.add(template())
    run = argo.trigger("MyFlow", {"n": "3", "text": 'say "hi"'})
    assert run.parameters == {"n": "3", "text": '"say \\"hi\\""'}
    assert run.metaflow_id == f"argo-{run.run_id}"
    assert (run.state, run.kind, run.finished) == ("pending", "manual", False)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("m", "3", "no such parameter"),
        ("n", "x", "of type int"),
        ("text", "a$b", "'$'"),
        ("text", "a`b", "'`'"),
        ("text", "a\\b", "'\\\\'"),
        ("text", "caf\u00e9", "'\u00e9'"),
        ("text", "two\nlines", "'\\n'"),
    ],
)
def test_values_that_would_not_arrive_exactly_are_refused(
    argo: ArgoDeployer, api: FakeApi, name: str, text: str, reason: str
) -> None:
    api.add(template())
    error = error_of(argo.trigger, "MyFlow", {name: text})
    assert error.code == "PARAMETER_WRONG"
    assert reason in (error.cause or "")


def test_values_of_each_type() -> None:
    assert encode_value("bool", "yes") == "true"
    assert encode_value("float", "1e3") == "1000.0"
    assert encode_value("JSON", '{"a": [1]}') == '"{\\"a\\": [1]}"'
    assert encode_value("JSON", {"a": 1}) == '"{\\"a\\": 1}"'


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("float", "nan", "no such number"),
        ("bool", "perhaps", "neither true"),
        ("JSON", "{", "Expecting property name"),
    ],
)
def test_a_value_of_another_type_is_refused(kind: str, value: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        encode_value(kind, value)


def test_what_is_accepted_arrives_exactly(tmp_path: Path) -> None:
    """Metaflow's own program writes the script that the first pod of a run sources."""
    text = "{{x}}" + "".join(chr(number) for number in range(32, 127) if chr(number) not in "$`\\")
    encoded = encode_value("str", text, exact=False)
    value = base64.b64encode(encoded.encode()).decode()
    script = tmp_path / "parameters"
    module = "metaflow.plugins.argo.set_parameters"
    subprocess.run([sys.executable, "-m", module, script, f"text,f,{value}"], check=True)
    command = f'. {script}; printf %s "$METAFLOW_INIT_TEXT"'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == text


def test_any_text_is_accepted_by_what_devstack_deploys(argo: ArgoDeployer, api: FakeApi) -> None:
    made = template()
    made["metadata"]["annotations"][EXACT] = "true"
    api.add(made)
    run = argo.trigger("MyFlow", {"text": "a$b {{x}} é\n"})
    assert run.parameters["text"] == '"a$b {\\u007bx}} \\u00e9\\n"'


def test_runs_are_listed_with_the_latest_first(argo: ArgoDeployer, api: FakeApi) -> None:
    scheduled = workflow("myflow-3")
    scheduled["metadata"]["labels"] = {"workflows.argoproj.io/cron-workflow": "myflow"}
    api.add(workflow("myflow-2", "Succeeded", finishedAt="2026-11-27T03:01:00Z"), scheduled)
    api.add(workflow("other-4"))
    latest, earlier = argo.runs("myflow")
    assert (latest.run_id, latest.kind, latest.seconds) == ("myflow-3", "scheduled", None)
    assert (earlier.state, earlier.finished, earlier.seconds) == ("succeeded", True, 60)
    assert [run.run_id for run in argo.runs(limit=1)] == ["other-4"]


@pytest.mark.parametrize("name", ["myflow-2", "argo-myflow-2", "MyFlow/argo-myflow-2", "MyFlow"])
def test_a_run_is_found_by_any_of_its_names(argo: ArgoDeployer, api: FakeApi, name: str) -> None:
    api.add(template(), workflow("myflow-2"), workflow("myflow-1"))
    assert argo.find_run(name).run_id == "myflow-2"
    assert error_of(argo.find_run, "argo-x").code == "RUN_UNKNOWN"


def test_a_run_is_followed_to_its_end(argo: ArgoDeployer, api: FakeApi) -> None:
    api.add(workflow(nodes=(node("start", "Running"),)))
    shown: list[str] = []

    def note(text: str) -> None:
        shown.append(text)
        done = node("start", "Succeeded", finishedAt="2026-11-27T03:00:09Z")
        end = "2026-11-27T03:00:10Z"
        api.add(workflow(phase="Succeeded", nodes=(done,), finishedAt=end))

    result = argo.follow(argo.find_run("myflow-1"), note)
    assert shown == ["running: start"]
    assert (result.ok, result.run.seconds, result.timing.running) == (True, 10, 9)


def test_a_follower_gives_up_after_its_timeout(argo: ArgoDeployer, api: FakeApi) -> None:
    api.add(workflow())
    error = error_of(argo.follow, argo.find_run("myflow-1"), silent, 3)
    assert (error.code, error.exit_status) == ("RUN_TIMEOUT", ExitStatus.TIMEOUT)


def test_a_run_whose_pod_cannot_start_is_terminated(argo: ArgoDeployer, api: FakeApi) -> None:
    waiting = {"waiting": {"reason": "InvalidImageName", "message": "no image"}}
    statuses = [{"name": "main", "image": "x", "ready": False, "state": waiting}]
    labels = {"workflows.argoproj.io/workflow": "myflow-1"}
    api.add(pod("p", "metaflow", labels=labels, phase="Pending", containerStatuses=statuses))
    api.objects["/api/v1/namespaces/metaflow/pods/p"]["spec"]["nodeName"] = "n"
    api.add(workflow())
    error = error_of(argo.follow, argo.find_run("myflow-1"), silent)
    assert error.exit_status == ExitStatus.FLOW_FAILED
    assert "was stopped" in str(error)
    live = api.client().get(ARGO, "Workflow", "myflow-1", "metaflow")
    assert live["spec"]["shutdown"] == "Terminate"


def add_log(api: FakeApi, of: Object, text: str) -> None:
    name = f"pod-{of['displayName'].translate(str.maketrans('', '', '()'))}"
    labels = {"workflows.argoproj.io/workflow": "myflow-1"}
    made = pod(name, "metaflow", labels=labels)
    made["metadata"]["annotations"] = {"workflows.argoproj.io/node-id": of["id"]}
    api.add(made)
    api.logs[f"/api/v1/namespaces/metaflow/pods/{name}/log"] = text


def test_a_failure_quotes_the_log_of_the_last_attempt(argo: ArgoDeployer, api: FakeApi) -> None:
    first = node("work", "Failed", "work(0)", message="exit 1")
    second = node("work", "Failed", "work(1)", message="exit 2")
    api.add(workflow(phase="Failed", nodes=(first, second), message="child failed"))
    add_log(api, first, "one")
    add_log(api, second, "two")
    result = argo.follow(argo.find_run("myflow-1"), silent)
    error = argo.failure(result)
    assert (error.code, error.cause) == ("RUN_FAILED", "task work failed after 2 attempts: exit 2")
    assert error.output == "two"
    assert error.remedy == "devstack argo logs argo-myflow-1 work"
    run = result.run
    assert [log.text for log in argo.logs(run)] == ["two"]
    assert [log.text for log in argo.logs(run, "work", 1)] == ["one"]


def test_the_task_that_failed_first_at_its_last_attempt_is_named(
    argo: ArgoDeployer, api: FakeApi
) -> None:
    def ended(second: int) -> dict[str, str]:
        return {"finishedAt": f"2026-11-27T03:00:0{second}Z"}

    nodes = (
        node("heartbeat-daemon", "Failed", **ended(1)),
        node("flaky", "Failed", "flaky(0)", **ended(2)),
        node("flaky", "Succeeded", "flaky(1)", **ended(3)),
        node("load", "Failed", **ended(4)),
        node("capture-error", "Failed", **ended(5)),
    )
    api.add(workflow(phase="Failed", nodes=nodes))
    error = argo.failure(argo.follow(argo.find_run("myflow-1"), silent))
    assert (error.cause or "").startswith("task load failed")


def test_a_failure_without_a_failed_task_says_what_argo_says(
    argo: ArgoDeployer, api: FakeApi
) -> None:
    api.add(workflow(phase="Error", message="invalid spec"))
    error = argo.failure(argo.follow(argo.find_run("myflow-1"), silent))
    assert error.cause == "invalid spec"


def test_items_of_loops_have_their_indices(argo: ArgoDeployer, api: FakeApi) -> None:
    nested = node("work-it", "Succeeded", "outer(1:x).inner(0:y).work-it")
    api.add(workflow(phase="Succeeded", nodes=(nested,)))
    add_log(api, nested, "text")
    run = argo.find_run("myflow-1")
    (log,) = argo.logs(run, "work_it[1][0]")
    assert log.task.name == "work-it[1][0]"
    error = error_of(lambda: list(argo.logs(run, "other")))
    assert (error.code, error.cause) == ("TASK_UNKNOWN", "it has work-it[1][0]")


def test_a_run_is_suspended_and_resumed(argo: ArgoDeployer, api: FakeApi) -> None:
    api.add(workflow())
    argo.set_suspended(argo.find_run("myflow-1"), True)
    assert argo.find_run("myflow-1").suspended
    argo.set_suspended(argo.find_run("myflow-1"), False)
    assert not argo.find_run("myflow-1").suspended


def test_deleting_leaves_nothing_and_active_runs_need_force(
    argo: ArgoDeployer, api: FakeApi
) -> None:
    argo.deliver(replace(COMPILED, schedule="0 * * * *"), silent)
    api.add(workflow("myflow-1"), workflow("other-2"))
    error = error_of(argo.delete, "myflow", force=False)
    assert error.code == "DEPLOYMENT_BUSY"
    assert stored(api, "CronWorkflow") is not None
    argo.delete("myflow", force=True)
    assert stored(api, "CronWorkflow") is stored(api, "WorkflowTemplate") is None
    assert [run.run_id for run in argo.runs()] == ["other-2"]


def test_a_scheduled_run_is_waited_for(argo: ArgoDeployer, api: FakeApi) -> None:
    scheduled = workflow("myflow-2")
    scheduled["metadata"]["labels"] = {"workflows.argoproj.io/cron-workflow": "myflow"}
    api.add(workflow("myflow-1"), scheduled)
    assert argo.wait_scheduled_run("myflow", (), silent).run_id == "myflow-2"
    error = error_of(argo.wait_scheduled_run, "myflow", {"myflow-2"}, silent)
    assert error.exit_status == ExitStatus.TIMEOUT
