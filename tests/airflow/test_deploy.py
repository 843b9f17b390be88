"""Flows become DAGs, run, are looked at and removed, through the command line."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack.errors import ExitStatus
from devstack.services.airflow.service import KUBECONFIG
from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until
from tests.airflow.flows_on_airflow import airflow, artifacts, deploy, run_to_end, write_flow
from tests.support.commandline import Devstack

OURS = ("TinyFlow", "FirstFlow", "SecondFlow")


def listed(stack: Devstack) -> dict[str, Any]:
    """Return the DAGs of these tests, by id."""
    dags = airflow(stack, "list")["data"]["dags"]
    return {dag["dag_id"]: dag for dag in dags if dag["dag_id"].endswith(OURS)}


@pytest.fixture(autouse=True)
def clean(stack: Devstack) -> Iterator[None]:
    """Remove the DAGs that a test leaves behind."""
    yield
    left = list(listed(stack))
    if left:
        stack.run("airflow", "delete", "--force", *left)


def test_a_flow_is_deployed_triggered_with_parameters_read_and_removed(
    stack: Devstack, tmp_path: Path
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


def test_a_change_is_seen_even_within_the_same_second(stack: Devstack, tmp_path: Path) -> None:
    flow = write_flow(tmp_path)
    first, second = (deploy(stack, flow, "--schedule", when) for when in ("daily", "weekly"))
    assert (first["schedule"], second["schedule"]) == ("@daily", "@weekly")
    assert listed(stack)["TinyFlow"]["schedule"] == "@weekly"


def test_variants_of_a_project_live_side_by_side(stack: Devstack, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, above="@project(name='shop')")
    made = [
        deploy(stack, flow, "--project", "shop", *options)["dag_id"]
        for options in (["--branch", "try"], ["--production"])
    ]
    assert made == ["shop.test.try.TinyFlow", "shop.prod.TinyFlow"]
    assert sorted(made) == sorted(listed(stack))


def test_a_paused_dag_waits_until_it_is_unpaused(stack: Devstack, tmp_path: Path) -> None:
    assert deploy(stack, write_flow(tmp_path), "--paused")["paused"] is True
    refused = airflow(stack, "trigger", "TinyFlow", check=False)
    assert refused["error"]["code"] == "DAG_PAUSED"
    assert airflow(stack, "trigger", "--unpause", "TinyFlow")["status"] == "ok"


def test_a_pool_that_is_missing_is_made_and_used(stack: Devstack, tmp_path: Path) -> None:
    flow, pool = write_flow(tmp_path), f"narrow-{secrets.token_hex(3)}"
    assert deploy(stack, flow, "--worker-pool", pool)["pools"] == [pool]
    assert deploy(stack, flow, "--worker-pool", pool)["pools"] == []
    assert run_to_end(stack, "TinyFlow")["data"]["state"] == "success"


def test_a_file_that_airflow_cannot_import_is_told_with_the_traceback(
    stack: Devstack, tmp_path: Path
) -> None:
    flow = write_flow(tmp_path)
    done = stack.run("airflow", "deploy", str(flow), "--schedule", "99 * * * *", check=False)
    assert done.returncode == ExitStatus.FAILED
    assert "DAG_IMPORT_FAILED" in done.stderr
    assert "99 * * * *" in done.stderr
    assert deploy(stack, flow)["dag_id"] == "TinyFlow"


def test_a_failing_task_ends_the_wait_with_its_last_words(stack: Devstack, tmp_path: Path) -> None:
    deploy(stack, write_flow(tmp_path, "raise SystemExit('out of fuel')"))
    error = run_to_end(stack, "TinyFlow", check=False)["error"]
    assert error["code"] == "RUN_FAILED"
    assert "task start failed" in error["cause"]
    assert any("out of fuel" in line for line in error["output"])


def test_a_pod_whose_image_is_nowhere_ends_the_run_at_once(stack: Devstack, tmp_path: Path) -> None:
    flow = write_flow(tmp_path)
    flow.write_text(flow.read_text().replace("disk=100)", "disk=100, image='moon.invalid/x:1')", 1))
    deploy(stack, flow)
    error = run_to_end(stack, "TinyFlow", check=False)["error"]
    assert error["code"] == "IMAGE_PULL_FAILED"
    assert "moon.invalid/x:1" in error["cause"]


def test_a_task_pod_deleted_from_outside_is_tried_again(stack: Devstack, tmp_path: Path) -> None:
    flow = write_flow(
        tmp_path,
        "self.attempt = current.retry_count\nif self.attempt == 0:\n    time.sleep(600)",
        step="@retry(times=1, minutes_between_retries=0)",
    )
    deploy(stack, flow)
    run = airflow(stack, "trigger", "TinyFlow")["data"]

    def observe() -> Observation:
        logs = airflow(stack, "logs", run["metaflow_run_id"])["data"]["logs"]
        begun = any("Task is starting." in log["lines"] for log in logs)
        return Ready() if begun else Waiting(f"{logs}")

    wait_until(observe, what="the step to begin", timeout=300, clock=SystemClock(), interval=2)
    label = "kubernetes_pod_operator=True"
    stack.admin_kubectl(
        "delete", "pod", "-n", "metaflow", "-l", label, "--grace-period=0", "--force"
    )

    def ended() -> Observation:
        [state] = [r["state"] for r in airflow(stack, "runs", "TinyFlow")["data"]["runs"]]
        return Ready() if state == "success" else Waiting(state)

    wait_until(ended, what="the run to succeed", timeout=600, clock=SystemClock(), interval=2)
    assert artifacts(stack, "TinyFlow", run, "attempt") == [1]


def test_a_timeout_strikes_in_the_pod_and_is_caught(stack: Devstack, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, "time.sleep(600)", step="@catch(var='why')\n@timeout(seconds=60)")
    flow.write_text(flow.read_text().replace("print('n is', self.n)", "self.told = str(self.why)"))
    deploy(stack, flow)
    run = run_to_end(stack, "TinyFlow")["data"]
    assert "timed out" in artifacts(stack, "TinyFlow", run, "told")[0]


@pytest.mark.parametrize(
    "named",
    [
        {"METAFLOW_AIRFLOW_KUBERNETES_CONN_ID": "kubernetes_default"},
        {"METAFLOW_AIRFLOW_KUBERNETES_KUBECONFIG_FILE": KUBECONFIG},
        {"METAFLOW_AIRFLOW_KUBERNETES_KUBECONFIG_CONTEXT": "devstack"},
    ],
    ids=["connection", "file", "context"],
)
def test_the_cluster_is_named_in_each_way_that_metaflow_has(
    stack: Devstack, tmp_path: Path, named: dict[str, str]
) -> None:
    naming = Devstack(stack.name, stack.home, named)
    deploy(naming, write_flow(tmp_path))
    assert run_to_end(stack, "TinyFlow")["data"]["state"] == "success"


def test_a_sensor_holds_the_flow_until_its_file_is_there(stack: Devstack, tmp_path: Path) -> None:
    above = (
        "@airflow_s3_key_sensor(bucket_key='s3://metaflow/data/go', name='go',"
        " poke_interval=2, exponential_backoff=False, mode='poke')"
    )
    deploy(stack, write_flow(tmp_path, above=above))
    run = airflow(stack, "trigger", "TinyFlow")["data"]

    def waits() -> Observation:
        logs = airflow(stack, "logs", run["metaflow_run_id"], "--full")["data"]["logs"]
        said = "\n".join(line for log in logs for line in log["lines"])
        return Ready() if "Poking for key" in said else Waiting(said)

    wait_until(waits, what="the sensor", timeout=120, clock=SystemClock(), interval=2)
    put = "import boto3; boto3.client('s3').put_object(Bucket='metaflow', Key='data/go', Body=b'')"
    stack.run("shell", "--", sys.executable, "-c", put)

    def ended() -> Observation:
        [state] = [r["state"] for r in airflow(stack, "runs", "TinyFlow")["data"]["runs"]]
        return Ready() if state == "success" else Waiting(state)

    wait_until(ended, what="the run to succeed", timeout=600, clock=SystemClock(), interval=2)


def test_a_sensor_holds_the_flow_until_another_dag_is_done(stack: Devstack, tmp_path: Path) -> None:
    deploy(stack, write_flow(tmp_path, name="FirstFlow"), "--schedule", "* * * * *")
    above = (
        "@airflow_external_task_sensor(external_dag_id='FirstFlow', name='first',"
        " poke_interval=2, exponential_backoff=False)"
    )
    second = write_flow(tmp_path, name="SecondFlow", above=above)
    deploy(stack, second, "--schedule", "* * * * *")

    def ended() -> Observation:
        states = [r["state"] for r in airflow(stack, "runs", "SecondFlow")["data"]["runs"]]
        return Ready() if "success" in states else Waiting(str(states))

    wait_until(ended, what="the second to succeed", timeout=900, clock=SystemClock(), interval=3)
