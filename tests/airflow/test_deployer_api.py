"""Metaflow's Deployer API for Airflow, in a user's program with the variables of `devstack env`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.airflow.flows_on_airflow import RUN_SECONDS, airflow, write_flow
from tests.airflow.metaflow_client import run_client
from tests.support.commandline import Devstack

FLOWS = ("ApiFlow", "SlowFlow", "ShopFlow", "EventFlow")


@pytest.fixture(autouse=True)
def clean(stack: Devstack) -> Iterator[None]:
    """Delete the DAGs that a test leaves behind."""
    yield
    dags = airflow(stack, "list")["data"]["dags"]
    left = [dag["dag_id"] for dag in dags if dag["dag_id"].endswith(FLOWS)]
    if left:
        stack.run("airflow", "delete", "--force", *left)


def create(flow: Path, options: str = "", **settings: object) -> str:
    """Return the expression that deploys a flow.

    Args:
        flow: its file.
        options: those of ``create``.
        settings: those of ``Deployer``.
    """
    given = "".join(f", {name}={value!r}" for name, value in settings.items())
    return f"Deployer({str(flow)!r}, show_output=False{given}).airflow().create({options})"


def test_a_flow_is_deployed_triggered_read_found_and_deleted(
    stack: Devstack, tmp_path: Path
) -> None:
    above = "@schedule(cron='0 9 ? * 2-6 *')"
    flow = write_flow(tmp_path, "self.twice = 2 * self.n", name="ApiFlow", above=above)
    found = run_client(
        stack,
        f"""
flow = {create(flow)}
run = flow.trigger(n=21)
began = run.wait_for_run(check_interval=1, timeout={RUN_SECONDS})
run.wait_for_completion(check_interval=1, timeout={RUN_SECONDS})
again = DeployedFlow.from_deployment("ApiFlow")
same = DeployedFlow.get_triggered_run("ApiFlow", began.id)
found = {{
    "names": [flow.name, flow.flow_name, again.name, again.flow_name],
    "metadata": [flow.metadata, again.metadata],
    "schedules": [flow.schedule, again.schedule],
    "tokens": [flow.production_token, again.production_token],
    "parameters": again.parameters,
    "status": [run.status, run.is_running, same.status, same.name == run.name],
    "run": [began.pathspec == run.pathspec, began.successful, began["end"].task.data.twice],
    "listed": [each.name for each in DeployedFlow.list_deployed_flows("ApiFlow")],
    "deleted": again.delete(),
}}
found["left"] = [each.name for each in DeployedFlow.list_deployed_flows("ApiFlow")]
""",
    )
    assert found["names"] == ["ApiFlow"] * 4
    assert found["metadata"][0] == found["metadata"][1]
    assert found["metadata"][0].startswith("service@")
    assert found["schedules"] == ["0 9 * * MON-FRI"] * 2
    assert found["tokens"][0]
    assert found["tokens"][0] == found["tokens"][1]
    assert [(each["name"], each["default"]) for each in found["parameters"]] == [("n", 1)]
    assert found["status"] == ["SUCCESS", False, "SUCCESS", True]
    assert found["run"] == [True, True, 42]
    assert (found["listed"], found["deleted"], found["left"]) == (["ApiFlow"], True, [])


def test_a_run_is_terminated(stack: Devstack, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, "time.sleep(600)", name="SlowFlow")
    found = run_client(
        stack,
        f"""
run = {create(flow)}.trigger()
run.wait_for_run(check_interval=1, timeout={RUN_SECONDS})
found = [run.is_running, run.terminate()]
run.wait_for_completion(check_interval=1, timeout=120)
found += [run.status, run.terminate()]
""",
    )
    assert found == [True, True, "FAILED", False]


def test_the_options_of_metaflow_are_those_of_the_deployment(
    stack: Devstack, tmp_path: Path
) -> None:
    flow = write_flow(tmp_path, name="ShopFlow", above="@project(name='shop')")
    options = "tags=['one'], is_paused_upon_creation=True"
    found = run_client(
        stack,
        f"""
first = {create(flow, options, branch="try", decospecs=["retry"])}
second = {create(flow, production=True)}
found = [first.name, first.is_paused, second.name, second.is_paused,
         first.production_token == second.production_token]
try:
    first.trigger()
except Exception as error:
    found.append(error.code)
""",
    )
    names = ["shop.test.try.ShopFlow", True, "shop.prod.ShopFlow", False]
    assert found == [*names, False, "DAG_PAUSED"]


def test_what_airflow_does_not_support_is_explained(stack: Devstack, tmp_path: Path) -> None:
    flow = write_flow(tmp_path, name="EventFlow", above="@trigger(event='sold')")
    found = run_client(
        stack,
        f"""
found = []
for call in (lambda: {create(flow)}, lambda: DeployedFlow.from_deployment("MissingFlow")):
    try:
        call()
    except Exception as error:
        found.append([error.code, str(error)])
""",
    )
    (refused, text), (unknown, _) = found
    assert (refused, unknown) == ("FLOW_UNSUPPORTED", "DAG_UNKNOWN")
    assert "@trigger" in text
