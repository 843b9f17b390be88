"""The metadata service shows runs of this machine, of Kubernetes and of Airflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until
from tests.airflow.metaflow_client import run_client
from tests.support.commandline import Devstack

PLACES = Path(__file__).parent / "flows" / "places.py"
SMALL = "kubernetes:cpu=0.1,memory=256,disk=256"


def latest(stack: Devstack) -> str:
    path: str = run_client(stack, 'found = Flow("PlacesFlow").latest_run.pathspec')
    return path


def run_places(stack: Devstack, *options: str) -> str:
    """Run the flow; return the pathspec of its run."""
    stack.run("run", str(PLACES), *options)
    return latest(stack)


def settings_of(stack: Devstack) -> dict[str, Any]:
    """Return the stack's Metaflow configuration."""
    file = stack.directory / "metaflow" / "config_devstack.json"
    settings: dict[str, Any] = json.loads(file.read_text())
    return settings


@pytest.fixture(scope="module")
def on_kubernetes(stack: Devstack) -> str:
    """The pathspec of a run on Kubernetes."""
    return run_places(stack, "--", "--with", SMALL)


def test_runs_of_all_platforms_are_listed_together(stack: Devstack, on_kubernetes: str) -> None:
    local = run_places(stack, "--local")
    stack.run("run", "--airflow", str(PLACES), timeout=600)
    on_airflow = latest(stack)
    assert len({local, on_kubernetes, on_airflow}) == 3
    assert "/airflow-" in on_airflow
    found = run_client(
        stack,
        """
found = {
    run.pathspec: [run.successful, run.data.total, run.data.in_pod, len(list(run["square"]))]
    for run in Flow("PlacesFlow")
}""",
    )
    assert found[local] == [True, 5, False, 3]
    assert found[on_kubernetes] == found[on_airflow] == [True, 5, True, 3]


def test_tasks_have_their_pods_name_and_their_parent_tasks(
    stack: Devstack, on_kubernetes: str
) -> None:
    found = run_client(
        stack,
        f"""
run = Run({on_kubernetes!r})
task = next(iter(run["square"]))
found = [
    task.metadata_dict["ds-type"], task.metadata_dict["kubernetes-pod-name"] == task["host"].data,
    [parent.parent.id for parent in task.parent_tasks], run.code is not None,
]""",
    )
    assert found == ["s3", True, ["start"], True]


def test_a_failed_run_is_resumed_at_the_failed_step(stack: Devstack) -> None:
    broken = Devstack(stack.name, stack.home, {"BREAK_PLACES": "1"})
    assert broken.run("run", str(PLACES), "--local", check=False).returncode != 0
    failed = latest(stack)
    resumed = run_places(stack, "--local", "--", "resume")
    found = run_client(
        stack,
        f"""
failed, resumed = Run({failed!r}), Run({resumed!r})
hosts = lambda run: sorted(task["value"].data for task in run["square"])
found = [
    failed.successful, resumed.successful, resumed.origin_pathspec, hosts(failed) == hosts(resumed),
]""",
    )
    assert found == [False, True, failed, True]


def test_tags_are_stored(stack: Devstack, on_kubernetes: str) -> None:
    run_client(stack, f'Run({on_kubernetes!r}).add_tags(["seen", "good"])\nfound = None')
    run_client(stack, f'Run({on_kubernetes!r}).remove_tag("seen")\nfound = None')
    found = run_client(stack, 'found = [run.pathspec for run in Flow("PlacesFlow").runs("good")]')
    assert found == [on_kubernetes]


def test_a_tasks_heartbeats_are_stored(stack: Devstack, on_kubernetes: str) -> None:
    flow, run = on_kubernetes.split("/")
    settings = settings_of(stack)
    answer = requests.get(
        f"{settings['METAFLOW_SERVICE_URL']}/flows/{flow}/runs/{run}/steps/square/tasks",
        headers={"x-api-key": settings["METAFLOW_SERVICE_AUTH_KEY"]},
        timeout=30,
    )
    assert all(task["last_heartbeat_ts"] >= task["ts_epoch"] for task in answer.json())


def test_runs_are_paginated(stack: Devstack, on_kubernetes: str) -> None:
    settings = settings_of(stack)
    headers = {"x-api-key": settings["METAFLOW_SERVICE_AUTH_KEY"]}
    first = requests.get(
        f"{settings['METAFLOW_SERVICE_URL']}/flows/PlacesFlow/runs?limit=1",
        headers=headers,
        timeout=30,
    )
    assert len(first.json()) == 1
    assert "after=" in first.links["next"]["url"]


def test_requests_without_the_key_are_rejected(stack: Devstack) -> None:
    url = settings_of(stack)["METAFLOW_SERVICE_URL"]
    assert url.startswith("http://127.0.0.1:")
    assert requests.get(f"{url}/flows", timeout=30).status_code == 403
    assert requests.post(f"{url}/flows/Mine", json={}, timeout=30).status_code == 403


def test_the_workers_of_a_gang_are_tasks(stack: Devstack) -> None:
    stack.run("run", "parallel", timeout=600)
    found = run_client(
        stack,
        """
run = Flow("ParallelFlow").latest_run
found = [run.successful, max(len(list(step)) for step in run)]""",
    )
    assert found == [True, 3]


@pytest.mark.parametrize(
    ("namespace", "name"), [("metadata", "metadata"), ("postgres", "postgres")]
)
def test_a_flow_survives_a_killed_pod_of_the_service(
    stack: Devstack, namespace: str, name: str
) -> None:
    before = latest_or_none(stack)
    flow = stack.start("run", str(PLACES), "--", "--with", SMALL)
    wait_until(
        lambda: _has_begun(stack, before),
        what="a new run",
        timeout=120,
        clock=SystemClock(),
        interval=1,
    )
    lost = pods_of(stack, namespace)
    stack.admin_kubectl(
        "delete", "pod", "-n", namespace, "-l", f"app.kubernetes.io/name={name}", "--force"
    )
    output, errors = flow.communicate(timeout=600)
    assert flow.returncode == 0, output + errors
    assert not set(lost) & set(pods_of(stack, namespace))
    assert run_client(stack, f"found = Run({latest(stack)!r}).successful") is True


def latest_or_none(stack: Devstack) -> str | None:
    path: str | None = run_client(
        stack,
        """
try:
    found = Flow("PlacesFlow").latest_run.pathspec
except Exception:
    found = None""",
    )
    return path


def _has_begun(stack: Devstack, before: str | None) -> Observation:
    return Ready() if latest_or_none(stack) != before else Waiting("there is no new run yet")


def pods_of(stack: Devstack, namespace: str) -> list[str]:
    answer = stack.admin_kubectl("get", "pods", "-n", namespace, "-o", "name")
    return answer.stdout.split()
