"""A second installation of Airflow on the same cluster, and its removal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from devstack.paths import project_file
from tests.airflow.airflow_stack import Airflow
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

LINEAR = project_file("devstack", "samples", "linear.py")
SECOND = ("airflow", "--installation", "team-a")
SETTINGS = '[airflow.installations.team-a]\nexecutor = "LocalExecutor"\n'


@pytest.fixture
def settings(stack: Devstack, tmp_path: Path) -> Iterator[Path]:
    """Return a settings file with two installations; the stack has one before and after."""
    file = tmp_path / "devstack.toml"
    file.write_text(SETTINGS)
    yield file
    file.write_text("[airflow]\n")
    stack.run("up", "--config", str(file))


def restarts(airflow: Airflow) -> dict[str, tuple[str, int]]:
    """Return the uid and the restarts of each pod of Airflow and Postgres."""
    found = {}
    for namespace in ("airflow", "postgres"):
        items = json.loads(airflow.kubectl("get", "pods", f"--namespace={namespace}", "-ojson"))
        for pod in items["items"]:
            counts = [each["restartCount"] for each in pod["status"]["containerStatuses"]]
            found[pod["metadata"]["name"]] = (pod["metadata"]["uid"], sum(counts))
    return found


def data(stack: Devstack, *argv: str, status: int = 0) -> dict[str, Any]:
    """Run a command with ``--json``; return the data or the error of its envelope."""
    done = stack.run(*argv, "--json", check=False)
    envelope = json.loads(done.stdout)
    assert done.returncode == status, envelope
    found: dict[str, Any] = envelope["data"] if status == 0 else envelope["error"]
    return found


def test_a_second_installation_runs_flows_and_its_removal_leaves_the_first_alone(
    stack: Devstack, settings: Path, tmp_path: Path
) -> None:
    first = Airflow(stack)
    before = restarts(first)
    stack.run("up", "--config", str(settings))
    assert restarts(first) == before

    flow = tmp_path / "elsewhere.py"
    flow.write_text(LINEAR.read_text().replace("LinearFlow", "ElsewhereFlow"))
    stack.run(*SECOND, "deploy", str(flow))
    stack.run(*SECOND, "trigger", "ElsewhereFlow", "--wait")
    run, *_ = data(stack, *SECOND, "runs")["runs"]
    assert run["state"] == "success"
    assert data(stack, "airflow", "runs", "ElsewhereFlow", status=2)["code"] == "DAG_UNKNOWN"

    status = data(stack, "status", "--secrets")
    url = f"{status['urls']['airflow-team-a']}/api/v1/dags"
    for name, expected in (("airflow-password", (401, 403)), ("airflow-team-a-password", (200,))):
        login = ("admin", status["secrets"][name])
        assert requests.get(url, auth=login, timeout=30).status_code in expected

    settings.write_text("[airflow]\n")
    stack.run("up", "--config", str(settings))
    assert restarts(first) == before
    of_second = ("get", "pods,services,secrets", "-n", "airflow-team-a", "-oname")
    eventually("the second one to end", lambda: not first.kubectl(*of_second), timeout=60)
    assert data(stack, *SECOND, "list", status=2)["code"] == "INSTALLATION_UNKNOWN"
