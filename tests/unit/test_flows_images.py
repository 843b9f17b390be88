"""Runs whose pods lack an image, or whose image lacks what Metaflow needs."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from devstack.flows.environment import FlowEnvironment
from devstack.flows.failure import failure_of
from devstack.flows.run import run_flow
from devstack.kube.client import Object
from tests.fakes.api import FakeApi, path_of
from tests.support.task_objects import NAMESPACE, task_pod
from tests.unit.test_flows_run import api, call, env

__all__ = ["api", "env"]

WAIT = "identify(); time.sleep(30)"


def waiting_pod(policy: str = "IfNotPresent") -> Object:
    pod = task_pod("t-1-x", "train", phase="Pending")
    container = pod["spec"]["containers"][0]
    container |= {"name": "train", "image": "team/app:1", "imagePullPolicy": policy}
    state = {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}
    status = {"name": "train", "image": "team/app:1", "ready": False, "state": state}
    pod["status"]["containerStatuses"] = [status]
    return pod


def test_an_image_of_this_machine_reaches_the_pod_that_waits_for_it(
    env: FlowEnvironment, api: FakeApi, tmp_path: Path
) -> None:
    api.add(waiting_pod())
    supplied: list[str] = []

    def supply(image: str) -> bool:
        supplied.append(image)
        # The kubelet tries again.
        api.objects.pop(path_of(waiting_pod()))
        (tmp_path / "go").touch()
        return True

    text = "identify()\nwhile not Path('go').exists(): time.sleep(0.05)"
    flow = call(tmp_path, f"os.chdir({str(tmp_path)!r})\n{text}", supply_image=supply)
    assert run_flow(flow, env).ok
    assert supplied == ["team/app:1"]


@pytest.mark.parametrize("policy", ["IfNotPresent", "Always"])
def test_a_pod_whose_image_cannot_be_supplied_stops_the_flow(
    env: FlowEnvironment, api: FakeApi, tmp_path: Path, policy: str
) -> None:
    pod = waiting_pod(policy)
    api.add(pod)
    asked = threading.Event()

    def supply(_image: str) -> bool:
        asked.set()
        return False

    flow = call(tmp_path, WAIT, supply_image=supply)
    error = failure_of(run_flow(flow, env))
    assert (error.code, int(error.exit_status)) == ("IMAGE_PULL_FAILED", 5)
    # It does not help to put an image on the node that is pulled in any case.
    assert asked.is_set() == (policy == "IfNotPresent")
    assert ("imagePullPolicy Always" in error.cause) == (policy == "Always")


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("ERROR: no index\ndevstack: the image lacks boto3", "the image lacks boto3"),
        ("devstack: the image has no python on PATH", "the image has no python on PATH"),
    ],
)
def test_what_the_image_lacks_is_the_cause(
    env: FlowEnvironment, api: FakeApi, tmp_path: Path, log: str, cause: str
) -> None:
    api.add(task_pod("t-1", "train", phase="Failed"))
    api.logs[f"/api/v1/namespaces/{NAMESPACE}/pods/t-1/log"] = log
    flow = call(tmp_path, "identify(); sys.exit(1)")
    error = failure_of(run_flow(flow, env))
    assert error.cause.endswith(f"failed in pod t-1: {cause}")
    assert "boto3 and requests" in error.remedy


def test_an_image_without_bash_is_the_cause(
    env: FlowEnvironment, api: FakeApi, tmp_path: Path
) -> None:
    pod = task_pod("t-1", "train", phase="Failed")
    message = 'exec: "bash": executable file not found in $PATH: unknown'
    ended = {"exitCode": 128, "reason": "StartError", "message": message}
    pod["status"]["containerStatuses"] = [{"name": "train", "state": {"terminated": ended}}]
    api.add(pod)
    api.logs[f"/api/v1/namespaces/{NAMESPACE}/pods/t-1/log"] = ""
    error = failure_of(run_flow(call(tmp_path, "identify(); sys.exit(1)"), env))
    assert "(StartError, exit status 128): the image has no bash" in error.cause
    assert error.output_tail == [message]
