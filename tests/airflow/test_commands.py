"""Backfills, tests of tasks, connections, pools and variables, on a real Airflow."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from devstack.errors import ExitStatus
from tests.airflow.airflow_stack import Airflow
from tests.airflow.flows_on_airflow import airflow
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

# It starts now, as the DAGs of Metaflow do: its runs of the past are before its start.
_DAG = """\
from datetime import datetime, timezone
from airflow import DAG
from airflow.operators.python import PythonOperator

def start(params, **_):
    print("the day is", params["day"], "and n is", params["n"])
    if params["n"] == 13:
        raise SystemExit("thirteen is refused")

with DAG(
    "commands", schedule="@daily", start_date=datetime.fromisoformat("{now}"), catchup=False,
    is_paused_upon_creation=False, params={{"day": "", "n": 1}},
):
    first = PythonOperator(task_id="start", python_callable=start)
    PythonOperator.partial(task_id="work", python_callable=print).expand(op_args=[[1], [2]])
"""

ADD = ("airflow", "connections", "add")
TODAY = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)


def day(ago: int) -> str:
    return f"{TODAY - timedelta(days=ago):%Y-%m-%d}"


@pytest.fixture(scope="module")
def dag(stack: Devstack) -> Iterator[Airflow]:
    """A DAG that runs daily, with a task and a mapped one."""
    platform = Airflow(stack)
    platform.write("commands", _DAG.format(now=datetime.now(timezone.utc).isoformat()))
    eventually(
        "the DAG", lambda: platform.request("GET", "dags/commands").status_code == 200, timeout=60
    )
    yield platform
    stack.run("airflow", "delete", "--force", "commands")


def backfill(stack: Devstack, *options: str, check: bool = True) -> dict[str, Any]:
    dates = ("--start", day(2), "--end", day(0))
    return airflow(stack, "backfill", "commands", *dates, *options, check=check)


def test_a_backfill_runs_each_due_date_once_with_its_date(stack: Devstack, dag: Airflow) -> None:
    envelope = backfill(stack, "--wait", "--timeout", "200", "--date-param", "day")
    runs = envelope["data"]["runs"]
    assert [run["logical_date"][:10] for run in runs] == [day(2), day(1)]
    assert {run["state"] for run in runs} == {"success"}
    assert day(0) in envelope["warnings"][0]
    for run, date in zip(runs, (day(2), day(1)), strict=True):
        found = dag.get(f"dags/commands/dagRuns/{run['dag_run_id']}")
        assert found["conf"] == {"day": date}
        assert found["data_interval_start"][:10] == date
        assert found["run_type"] == "manual"
    again = backfill(stack, "--wait")["data"]["runs"]
    assert {run["action"] for run in again} == {"skip"}


def test_a_task_is_tested_without_a_trace(stack: Devstack, dag: Airflow) -> None:
    before = dag.get("dags/commands/dagRuns")["total_entries"]
    tested = airflow(stack, "test", "commands", "start", "-p", "n=7")["data"]
    assert tested["returncode"] == 0
    assert any("n is 7" in line for line in tested["lines"])
    failed = airflow(stack, "test", "commands", "start", "-p", "n=13", check=False)["data"]
    assert failed["returncode"] != 0
    mapped = airflow(stack, "test", "commands", "work[1]")["data"]
    assert mapped["returncode"] == 0
    assert dag.get("dags/commands/dagRuns")["total_entries"] == before


def test_connections_are_added_tested_and_deleted(stack: Devstack, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret-of-this-test")
    login = ("--login", "me", "--password-file", str(secret))
    stack.run(*ADD, "web", "--replace", "--type", "http", "--host", "h", *login)
    given = ("--type", "sqlite", "--host")
    stack.run(*ADD, "local", "--replace", *given, "/tmp/local.db")
    listed = stack.run("airflow", "connections", "list").stdout
    assert "me@h" in listed
    assert secret.read_text() not in listed
    assert secret.read_text() in stack.run("airflow", "connections", "list", "--secrets").stdout
    tested = stack.run("airflow", "connections", "test", "local", check=False)
    assert tested.returncode == ExitStatus.OK, tested.stderr
    stack.run("airflow", "connections", "add", "local", *given, "/no/such", "--replace")
    refused = stack.run("airflow", "connections", "test", "local", "--json", check=False)
    assert json.loads(refused.stdout)["error"]["code"] == "CONNECTION_FAILED"
    stack.run("airflow", "connections", "delete", "local", "web")


def test_a_connection_to_postgres_is_tested_from_a_pod(stack: Devstack, tmp_path: Path) -> None:
    state = json.loads((stack.directory / "stack.json").read_text())
    secret = tmp_path / "password"
    secret.write_text(state["credentials"]["airflow_db_password"])
    login = ("--login", "airflow", "--schema", "airflow", "--password-file", str(secret))
    add = (*ADD, "there", "--type", "postgres", "--host", "postgres.postgres", "--replace")
    for port, status in (("5432", ExitStatus.OK), ("5433", ExitStatus.FAILED)):
        stack.run(*add, "--port", port, *login)
        tested = stack.run("airflow", "connections", "test", "there", check=False)
        assert tested.returncode == status, tested.stderr
    stack.run("airflow", "connections", "delete", "there")


def test_a_connection_by_http_is_tested_from_a_pod(stack: Devstack) -> None:
    """Airflow sends POST, which its own web server refuses: an answer all the same."""
    for host, answer in (("airflow", "405"), ("nowhere", "Max retries exceeded")):
        stack.run(*ADD, "web", "--type", "http", "--host", host, "--port", "8080", "--replace")
        tested = stack.run("airflow", "connections", "test", "web", check=False)
        assert tested.returncode == ExitStatus.FAILED
        assert answer in tested.stderr
    stack.run("airflow", "connections", "delete", "web")


def test_pools_and_variables_are_set_and_deleted(stack: Devstack, tmp_path: Path) -> None:
    def call(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return stack.run("airflow", *argv, **options)

    call("pools", "set", "few", "2")
    call("pools", "set", "few", "3", "--description", "one API")
    pools = {
        pool["name"]: pool
        for pool in json.loads(call("pools", "list", "--json").stdout)["data"]["pools"]
    }
    assert (pools["few"]["slots"], pools["few"]["description"]) == (3, "one API")
    call("pools", "delete", "few")
    call("variables", "set", "region", "north", "--description", "where")
    call("variables", "set", "region", "south")
    assert call("variables", "get", "region").stdout == "south\n"
    exported = tmp_path / "variables.json"
    call("variables", "export", str(exported))
    call("variables", "delete", "region")
    call("variables", "import", str(exported))
    assert (
        json.loads(call("variables", "get", "region", "--json").stdout)["data"]["value"] == "south"
    )
    call("variables", "delete", "region")


def test_the_api_server_accepts_the_route_of_an_ingress(stack: Devstack) -> None:
    """The stack has no controller; Kubernetes validates the object."""
    from devstack.services.airflow.installation import DEFAULT
    from devstack.services.airflow.routes import backends, parse_entry, routes

    settings = {"base_url": "https://host.example/airflow"}
    made = routes(settings, parse_entry("Ingress any"), DEFAULT, backends(settings, flower=True))
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    platform = Airflow(stack)
    done = platform.kubectl("apply", "--dry-run=server", "--validate=strict", "-f-", stdin=text)
    assert done.count("created (server dry run)") == 2
