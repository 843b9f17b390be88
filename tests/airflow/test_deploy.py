"""Flows are deployed as DAGs, run, inspected and deleted with the command line.

Runs take most of the time, so all flows are deployed first and run concurrently;
tests whose runs occupy a task slot until they act come first.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from devstack.services.airflow.objects import KUBECONFIG
from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until
from tests.airflow.airflow_stack import Airflow
from tests.airflow.flows_on_airflow import (
    RUN_SECONDS,
    airflow,
    artifacts,
    deploy,
    run_to_end,
    write_flow,
)
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

POOL = f"narrow-{secrets.token_hex(3)}"
CLUSTERS = {
    "ConnectionFlow": {"METAFLOW_AIRFLOW_KUBERNETES_CONN_ID": "kubernetes_default"},
    "FileFlow": {"METAFLOW_AIRFLOW_KUBERNETES_KUBECONFIG_FILE": KUBECONFIG},
    "ContextFlow": {"METAFLOW_AIRFLOW_KUBERNETES_KUBECONFIG_CONTEXT": "devstack"},
}
"""Flows that select the cluster, with the variable that does it when they are deployed."""


@dataclass(frozen=True)
class FlowSpec:
    """A flow to deploy and run.

    Attributes:
        body: body of its start step.
        step: decorators of its start step.
        above: decorators of the flow.
        end: statement of its end step.
        kubernetes: further arguments of its start step's @kubernetes.
        options: options of `devstack airflow deploy`.
        variables: environment of `devstack airflow deploy`.
        followed: True to trigger it with --wait.
    """

    body: str = "pass"
    step: str = ""
    above: str = ""
    end: str = ""
    kubernetes: str = ""
    options: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    followed: bool = False


SENSOR = (
    "@airflow_s3_key_sensor(bucket_key='s3://metaflow/data/go', name='go',"
    " poke_interval=2, exponential_backoff=False, mode='poke')"
)
FLOWS = {
    "RetriedFlow": FlowSpec(
        "self.attempt = current.retry_count\nif self.attempt == 0:\n    time.sleep(600)",
        step="@retry(times=1, minutes_between_retries=0)",
    ),
    "SensorFlow": FlowSpec(above=SENSOR),
    "NoImageFlow": FlowSpec(kubernetes="image='moon.invalid/x:1'", followed=True),
    "FailingFlow": FlowSpec("raise SystemExit('out of fuel')", followed=True),
    "TimeoutFlow": FlowSpec(
        "time.sleep(600)",
        step="@catch(var='why')\n@timeout(seconds=60)",
        end="self.failure = str(self.why)",
    ),
    "PoolFlow": FlowSpec(options=("--worker-pool", POOL)),
    **{name: FlowSpec(variables=variables) for name, variables in CLUSTERS.items()},
}


@dataclass
class Started:
    """A deployed flow with a run.

    Attributes:
        stack: the stack.
        deployment: what `deploy` returned.
        run: what `trigger` returned; empty if it is followed.
        follower: the process of `trigger --wait`; None if it is not followed.
    """

    stack: Devstack
    deployment: dict[str, Any]
    run: dict[str, Any]
    follower: subprocess.Popen[str] | None

    def wait(self) -> str:
        """Wait until the run is finished; return its state."""
        path = f"dags/{self.run['dag_id']}/dagRuns/{self.run['dag_run_id']}"
        platform = Airflow(self.stack)
        eventually(
            f"the end of {path}",
            lambda: platform.state_of(path) not in ("queued", "running"),
            timeout=RUN_SECONDS,
            interval=1.0,
        )
        return platform.state_of(path)

    def error(self) -> dict[str, Any]:
        """Return the error of the follower."""
        assert self.follower is not None
        output, _errors = self.follower.communicate(timeout=RUN_SECONDS)
        error: dict[str, Any] = json.loads(output)["error"]
        return error


def _write(folder: Path, name: str, spec: FlowSpec) -> Path:
    path = write_flow(folder, spec.body, name=name, above=spec.above, step=spec.step)
    text = path.read_text()
    if spec.kubernetes:
        text = text.replace("disk=100)", f"disk=100, {spec.kubernetes})", 1)
    if spec.end:
        text = text.replace("print('n is', self.n)", spec.end)
    path.write_text(text)
    return path


def _start(stack: Devstack, folder: Path, name: str, spec: FlowSpec) -> Started:
    path = _write(folder, name, spec)
    deploying = Devstack(stack.name, stack.home, spec.variables)
    deployment = deploy(deploying, path, *spec.options)
    if spec.followed:
        follower = stack.start("airflow", "trigger", "--json", name, "--wait")
        return Started(stack, deployment, {}, follower)
    return Started(stack, deployment, airflow(stack, "trigger", name)["data"], None)


@pytest.fixture(scope="module")
def started(
    stack: Devstack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Started]]:
    """All flows, deployed two at a time and triggered."""
    folder = tmp_path_factory.mktemp("flows")
    with ThreadPoolExecutor(2) as pool:
        futures = {
            name: pool.submit(_start, stack, folder, name, spec) for name, spec in FLOWS.items()
        }
        yield {name: future.result() for name, future in futures.items()}
    stack.run("airflow", "delete", "--force", *FLOWS)


def listed(stack: Devstack) -> dict[str, Any]:
    """Return the DAGs of the tests below, by id."""
    dags = airflow(stack, "list")["data"]["dags"]
    names = ("TinyFlow", "FirstFlow", "SecondFlow")
    return {dag["dag_id"]: dag for dag in dags if dag["dag_id"].endswith(names)}


@pytest.fixture
def clean(stack: Devstack) -> Iterator[None]:
    """Delete the DAGs that a test leaves behind."""
    yield
    left = list(listed(stack))
    if left:
        stack.run("airflow", "delete", "--force", *left)


def test_a_deleted_task_pod_is_retried(stack: Devstack, started: dict[str, Started]) -> None:
    flow = started["RetriedFlow"]

    def observe() -> Observation:
        logs = airflow(stack, "logs", flow.run["metaflow_run_id"])["data"]["logs"]
        started = any("Task is starting." in log["lines"] for log in logs)
        return Ready() if started else Waiting(f"{logs}")

    wait_until(observe, what="the step to begin", timeout=300, clock=SystemClock(), interval=2)
    pods = ("pod", "-n", "metaflow", "-l", "dag_id=RetriedFlow")
    stack.admin_kubectl("delete", *pods, "--grace-period=0", "--force")
    assert flow.wait() == "success"
    assert artifacts(stack, "RetriedFlow", flow.run, "attempt") == [1]


def test_a_sensor_waits_for_its_file(stack: Devstack, started: dict[str, Started]) -> None:
    flow = started["SensorFlow"]

    def waits() -> Observation:
        logs = airflow(stack, "logs", flow.run["metaflow_run_id"], "--full")["data"]["logs"]
        text = "\n".join(line for log in logs for line in log["lines"])
        return Ready() if "Poking for key" in text else Waiting(text)

    wait_until(waits, what="the sensor", timeout=120, clock=SystemClock(), interval=2)
    put = "import boto3; boto3.client('s3').put_object(Bucket='metaflow', Key='data/go', Body=b'')"
    stack.run("shell", "--", sys.executable, "-c", put)
    assert flow.wait() == "success"


def test_a_failed_task_ends_the_wait_with_its_output(started: dict[str, Started]) -> None:
    error = started["FailingFlow"].error()
    assert error["code"] == "RUN_FAILED"
    assert "task start failed" in error["cause"]
    assert any("out of fuel" in line for line in error["output"])


def test_an_image_that_cannot_be_pulled_stops_the_run(started: dict[str, Started]) -> None:
    error = started["NoImageFlow"].error()
    assert error["code"] == "IMAGE_PULL_FAILED"
    assert "moon.invalid/x:1" in error["cause"]


def test_a_timeout_expires_in_the_pod_and_is_caught(
    stack: Devstack, started: dict[str, Started]
) -> None:
    flow = started["TimeoutFlow"]
    assert flow.wait() == "success"
    assert "timed out" in artifacts(stack, "TimeoutFlow", flow.run, "failure")[0]


def test_a_missing_pool_is_created_and_used(stack: Devstack, started: dict[str, Started]) -> None:
    flow = started["PoolFlow"]
    assert flow.deployment["pools"] == [POOL]
    assert flow.wait() == "success"
    path = f"dags/PoolFlow/dagRuns/{flow.run['dag_run_id']}/taskInstances"
    tasks = Airflow(stack).get(path)["task_instances"]
    assert {task["pool"] for task in tasks} == {POOL}


def test_an_existing_pool_is_kept(stack: Devstack, tmp_path: Path, clean: None) -> None:
    flow = write_flow(tmp_path)
    deploy(stack, flow, "--worker-pool", POOL)
    assert deploy(stack, flow, "--worker-pool", POOL)["pools"] == []


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_cluster_is_selected_in_each_way_that_metaflow_has(
    started: dict[str, Started], name: str
) -> None:
    assert started[name].wait() == "success"


def test_a_flow_is_deployed_triggered_with_parameters_read_and_deleted(
    stack: Devstack, tmp_path: Path, clean: None
) -> None:
    dag = deploy(stack, write_flow(tmp_path, "self.twice = 2 * self.n"))
    assert (dag["dag_id"], dag["paused"]) == ("TinyFlow", False)
    run = run_to_end(stack, "TinyFlow", "--param", "n=21")["data"]
    assert run["state"] == "success"
    assert artifacts(stack, "TinyFlow", run, "twice", "n") == [42, 21]
    [known] = airflow(stack, "runs", "TinyFlow")["data"]["runs"]
    assert known["metaflow_run_id"] == run["metaflow_run_id"]
    [log] = airflow(stack, "logs", run["metaflow_run_id"], "end")["data"]["logs"]
    assert "n is 21" in log["lines"]
    assert airflow(stack, "open", "TinyFlow")["data"]["url"].endswith("/dags/TinyFlow/grid")
    airflow(stack, "delete", "TinyFlow")
    assert listed(stack) == {}


def test_a_change_within_the_same_second_is_parsed(
    stack: Devstack, tmp_path: Path, clean: None
) -> None:
    flow = write_flow(tmp_path)
    first, second = (deploy(stack, flow, "--schedule", when) for when in ("daily", "weekly"))
    assert (first["schedule"], second["schedule"]) == ("@daily", "@weekly")
    assert listed(stack)["TinyFlow"]["schedule"] == "@weekly"


def test_variants_of_a_project_exist_side_by_side(
    stack: Devstack, tmp_path: Path, clean: None
) -> None:
    flow = write_flow(tmp_path, above="@project(name='shop')")
    made = [
        deploy(stack, flow, "--project", "shop", *options)["dag_id"]
        for options in (["--branch", "try"], ["--production"])
    ]
    assert made == ["shop.test.try.TinyFlow", "shop.prod.TinyFlow"]
    assert sorted(made) == sorted(listed(stack))


def test_a_paused_dag_is_triggered_only_when_unpaused(
    stack: Devstack, tmp_path: Path, clean: None
) -> None:
    assert deploy(stack, write_flow(tmp_path), "--paused")["paused"] is True
    refused = airflow(stack, "trigger", "TinyFlow", check=False)
    assert refused["error"]["code"] == "DAG_PAUSED"
    assert airflow(stack, "trigger", "--unpause", "TinyFlow")["status"] == "ok"


def test_a_sensor_waits_for_another_dag(stack: Devstack, tmp_path: Path, clean: None) -> None:
    platform = Airflow(stack)
    platform.deploy("FirstFlow", "true")
    above = (
        "@airflow_external_task_sensor(external_dag_id='FirstFlow', name='first',"
        " poke_interval=2, exponential_backoff=False)"
    )
    deploy(stack, write_flow(tmp_path, name="SecondFlow", above=above))
    # The sensor waits for the run of the same date, as two runs of one schedule have it.
    date = datetime.now(timezone.utc).isoformat()
    second = platform.start("SecondFlow", date)
    sensor = f"{second}/taskInstances/first"
    eventually(
        "the sensor to find no run",
        lambda: platform.get(sensor)["state"] == "up_for_reschedule",
        timeout=120,
    )
    first = platform.start("FirstFlow", date)
    assert platform.finish(first) == "success"
    assert platform.finish(second) == "success"
