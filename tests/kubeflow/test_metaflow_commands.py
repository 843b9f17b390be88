"""metaflow-kubeflow's own commands, and kfp's client, in `devstack shell` without settings."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kubeflow.flows_on_kubeflow import RUN_SECONDS, KubeflowStack
from tests.support.eventually import eventually

FLOW = "line.py"
PIPELINES = Path(__file__).parent / "pipelines.py"
pytestmark = pytest.mark.usefixtures("clean")


def test_a_flow_is_created_triggered_followed_and_deleted(
    stack: KubeflowStack, tmp_path: Path
) -> None:
    stack.in_shell(FLOW, "create")
    # The second version is the one that runs.
    stack.in_shell(FLOW, "create")
    file = tmp_path / "run"
    told = stack.in_shell(FLOW, "trigger", "--text", "it's $HOME", "--run-id-file", str(file))
    run = file.read_text()
    assert stack.devstack.json("status")["data"]["urls"]["kubeflow"] in told
    kfp_id = run.removeprefix("kfp-")

    def ended() -> bool:
        status = stack.in_shell(FLOW, "status", "--kfp-run-id", kfp_id)
        return any(state in status for state in ("SUCCEEDED", "FAILED"))

    eventually("the run to end", ended, timeout=RUN_SECONDS, interval=2)
    assert "SUCCEEDED" in stack.in_shell(FLOW, "status", "--kfp-run-id", kfp_id)
    found = stack.artifact("KubeflowLineFlow", {"metaflow_run_id": run}, "end", "seen")
    assert found == "it's $HOME"
    stack.in_shell(FLOW, "delete")
    assert stack.kubeflow("list")["data"]["deployments"] == []


def test_a_run_is_terminated(stack: KubeflowStack, tmp_path: Path) -> None:
    stack.in_shell("sleep.py", "create")
    file = tmp_path / "run"
    stack.in_shell("sleep.py", "trigger", "--run-id-file", str(file))
    kfp_id = file.read_text().removeprefix("kfp-")

    def status() -> str:
        return stack.in_shell("sleep.py", "status", "--kfp-run-id", kfp_id)

    eventually("it to run", lambda: "RUNNING" in status(), timeout=120, interval=2)
    stack.in_shell("sleep.py", "terminate", "--kfp-run-id", kfp_id)
    eventually("it to end", lambda: "CANCELED" in status(), timeout=120, interval=2)


def test_a_gang_is_refused_before_anything_is_uploaded(stack: KubeflowStack) -> None:
    printed = stack.in_shell("gang.py", "create", check=False)
    assert "step work: @parallel" in printed
    assert stack.kfp("found = client.list_pipelines().total_size or 0") == 0


def test_a_version_name_is_used_once(stack: KubeflowStack) -> None:
    stack.in_shell(FLOW, "create", "--version-name", "v1")
    printed = stack.in_shell(FLOW, "create", "--version-name", "v1", check=False)
    assert "already exists" in printed


def test_two_deployments_at_the_same_time_leave_one_pipeline(stack: KubeflowStack) -> None:
    with ThreadPoolExecutor(2) as pool:
        printed = list(pool.map(lambda _: stack.in_shell(FLOW, "create", check=False), range(2)))
    # The one that comes second adds a version, or is told that the pipeline exists already.
    assert any("successfully" in each for each in printed), printed
    assert stack.only() == "KubeflowLineFlow"


def test_a_pipeline_written_with_kfp_alone_runs(stack: KubeflowStack, tmp_path: Path) -> None:
    file = tmp_path / "loop.yaml"
    settings = stack.devstack.json("env")["data"]["environment"]
    image = stack.devstack.run(
        "shell",
        "--",
        str(stack.python),
        "-c",
        "from metaflow.metaflow_config import KUBERNETES_CONTAINER_IMAGE as i; print(i)",
    ).stdout.split()[-1]
    argv = [str(stack.python), "-W", "ignore", str(PIPELINES), image, str(file)]
    subprocess.run(argv, check=True, timeout=120)
    assert "KF_PIPELINES_ENDPOINT" in settings
    found = stack.kfp(
        f"""
        run = client.create_run_from_pipeline_package({str(file)!r}, arguments={{"count": 5}})
        found = client.wait_for_run_completion(run.run_id, {RUN_SECONDS}, 2).state
        """
    )
    assert found == "SUCCEEDED"


def test_a_run_that_fails_has_failed(stack: KubeflowStack, tmp_path: Path) -> None:
    stack.in_shell(FLOW, "create")
    file = tmp_path / "run"
    stack.in_shell(FLOW, "trigger", "--text", "broken", "--run-id-file", str(file))
    run_id = file.read_text().removeprefix("kfp-")
    program = f"found = client.wait_for_run_completion({run_id!r}, {RUN_SECONDS}, 2).state"
    assert stack.kfp(program) == "FAILED"
