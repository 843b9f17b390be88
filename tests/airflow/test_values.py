"""What users type reaches a DAG's tasks exactly, on a real Airflow.

tests/unit/test_airflow_values.py covers more texts, without the runs.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack.errors import ExitStatus
from tests.airflow.airflow_stack import Airflow
from tests.airflow.flows_on_airflow import airflow, artifacts, deploy, run_to_end, write_flow
from tests.airflow.metaflow_client import run_client
from tests.support.commandline import Devstack
from tests.support.engine_values import TAG, TEXT

USER = "CORP\\Jané {{ ds }} <jane.doe@corp.example>" + "x" * 70
TOO_WIDE = 7001
"""Items of a foreach, one more than the stack's Airflow maps; Airflow's default is 1024."""

VALUES = f"""
import os
from metaflow import *

TEXT = {TEXT!r}

class ValuesFlow(FlowSpec):
    text = Parameter("text", default=TEXT)
    rate = Parameter("rate-of-größe", default=1, type=float)
    data = Parameter("data", type=JSONType, default={{"a": ["ü", None]}})
    flag = Parameter("flag", default=True)
    given = Config("given", default="absent.json")
    fixed = Config("fixed", default_value={{"memory": 210, "text": TEXT}})
    file = IncludeFile("file", default="värde.txt")

    @environment(vars={{"TEXT": TEXT, "N": 3, "LOOP": "{{% for x in xs %}}", "FILE": "a.json"}})
    @kubernetes(cpu=0.05, memory=config_expr("fixed.memory"), disk=100)
    @step
    def start(self):
        self.variables = [os.environ[name] for name in ("TEXT", "N", "LOOP", "FILE")]
        self.user = os.environ["METAFLOW_USER"]
        self.next(self.end)

    @kubernetes(cpu=0.05, memory=200, disk=100)
    @step
    def end(self):
        self.config = [self.given.n, self.fixed.memory, self.fixed.text]
        self.included = self.file
        self.values = [self.text, self.rate, self.data, self.flag]

if __name__ == "__main__":
    ValuesFlow()
"""
WIDE_FLOW = """
from metaflow import *

class WideFlow(FlowSpec):
    width = Parameter("width", default=1)

    @kubernetes(cpu=0.05, memory=200, disk=100)
    @step
    def start(self):
        self.numbers = list(range(self.width))
        self.next(self.one, foreach="numbers")

    @kubernetes(cpu=0.05, memory=200, disk=100)
    @step
    def one(self):
        self.next(self.join)

    @kubernetes(cpu=0.05, memory=200, disk=100)
    @step
    def join(self, inputs):
        self.next(self.end)

    @kubernetes(cpu=0.05, memory=200, disk=100)
    @step
    def end(self):
        pass

if __name__ == "__main__":
    WideFlow()
"""
GIVEN = {"text": f"Málaga {TEXT}", "rate-of-größe": "0.5", "data": '{"b": "$HOME"}', "flag": "no"}


@pytest.fixture(scope="module")
def runs(
    stack: Devstack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[dict[str, Any]]]:
    """Two runs of one flow: one with the defaults, one with given values."""
    folder = tmp_path_factory.mktemp("values")
    (folder / "värde.txt").write_text("included ü")
    (folder / "settings.json").write_text('{"n": 5}')
    (folder / "my flow's é.py").write_text(VALUES.replace("värde.txt", str(folder / "värde.txt")))
    user = Devstack(stack.name, stack.home, {"METAFLOW_USER": USER})
    passed = ("--tag", TAG, "--", "--config", "given", str(folder / "settings.json"))
    done = user.run("airflow", "deploy", "--json", str(folder / "my flow's é.py"), *passed)
    assert json.loads(done.stdout)["data"]["python"]["metaflow"]
    given = [option for name, text in GIVEN.items() for option in ("-p", f"{name}={text}")]
    commands = [
        stack.start("airflow", "trigger", "--json", "--wait", "ValuesFlow", *options)
        for options in ([], given)
    ]
    yield [_ended(command) for command in commands]
    stack.run("airflow", "delete", "--force", "ValuesFlow")


def _ended(command: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = command.communicate(timeout=300)
    envelope = json.loads(output)
    assert envelope["status"] == "ok", envelope["error"]
    data: dict[str, Any] = envelope["data"]
    return data


NAMES = ("values", "variables", "config", "included", "user")


def test_defaults_arrive_exactly(stack: Devstack, runs: list[dict[str, Any]]) -> None:
    values, variables, config, included, user = artifacts(stack, "ValuesFlow", runs[0], *NAMES)
    assert values == [TEXT, 1.0, {"a": ["ü", None]}, True]
    assert variables == [TEXT, "3", "{% for x in xs %}", "a.json"]
    assert config == [5, 210, TEXT]
    assert included == "included ü"
    assert user == USER


def test_given_values_arrive_exactly(stack: Devstack, runs: list[dict[str, Any]]) -> None:
    [values] = artifacts(stack, "ValuesFlow", runs[1], "values")
    assert values == [GIVEN["text"], 0.5, {"b": "$HOME"}, False]


def test_a_tag_is_the_runs(stack: Devstack, runs: list[dict[str, Any]]) -> None:
    program = f"found = list(Run('ValuesFlow/{runs[0]['metaflow_run_id']}').user_tags)"
    assert TAG in run_client(stack, program)


@pytest.mark.parametrize(
    ("parameter", "code"),
    [("rate-of-größe=fast", "PARAMETER_WRONG"), ("file=other.txt", "PARAMETER_WRONG")],
)
def test_a_value_of_another_type_is_refused(
    stack: Devstack, runs: list[dict[str, Any]], parameter: str, code: str
) -> None:
    refused = airflow(stack, "trigger", "ValuesFlow", "-p", parameter, check=False)
    assert refused["error"]["code"] == code


def test_a_schedule_that_airflow_would_misread_is_refused_and_leaves_nothing(
    stack: Devstack, tmp_path: Path
) -> None:
    flow = write_flow(tmp_path, name="CronFlow", above="@schedule(cron='0 0 9 * * *')")
    done = stack.run("airflow", "deploy", str(flow), check=False)
    assert done.returncode == ExitStatus.USAGE
    assert "FLOW_UNSUPPORTED" in done.stderr
    assert all(dag["dag_id"] != "CronFlow" for dag in airflow(stack, "list")["data"]["dags"])


def test_concurrent_deployments_of_one_dag_take_turns_and_cron_is_airflows(
    stack: Devstack, tmp_path: Path
) -> None:
    flow = write_flow(tmp_path, name="SharedFlow")
    schedules = {"0 9 ? * 2-6 *": "0 9 * * MON-FRI", "30 9 ? * SUN *": "30 9 * * SUN"}
    commands = [
        stack.start("airflow", "deploy", "--json", "--paused", "--schedule", when, str(flow))
        for when in schedules
    ]
    deployed = [json.loads(command.communicate(timeout=300)[0]) for command in commands]
    assert [each["data"]["schedule"] for each in deployed] == list(schedules.values())
    dags = {dag["dag_id"]: dag for dag in airflow(stack, "list")["data"]["dags"]}
    schedule, next_run = dags["SharedFlow"]["schedule"], dags["SharedFlow"]["next_run"]
    assert schedule in schedules.values()
    assert next_run.endswith(f"T09:{schedule.split()[0].zfill(2)}:00+00:00")
    airflow(stack, "delete", "SharedFlow")


def test_a_file_that_airflow_cannot_import_is_reported_and_deleted(
    stack: Devstack, tmp_path: Path
) -> None:
    above = "@airflow_s3_key_sensor(bucket_key='s3://metaflow/x', mode='nonsense')"
    flow = write_flow(tmp_path, name="BrokenFlow", above=above)
    done = stack.run("airflow", "deploy", str(flow), check=False)
    assert done.returncode == ExitStatus.FAILED
    assert "DAG_IMPORT_FAILED" in done.stderr
    assert "nonsense" in done.stderr
    assert airflow(stack, "delete", "BrokenFlow")["data"]["deleted"] == ["BrokenFlow"]
    assert airflow(stack, "list")["data"]["import_errors"] == []


@pytest.fixture(scope="module")
def wide(stack: Devstack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A deployed flow with a foreach."""
    flow = tmp_path_factory.mktemp("wide") / "wide.py"
    flow.write_text(WIDE_FLOW)
    return str(deploy(stack, flow)["dag_id"])


def test_the_number_of_items_that_airflow_maps_is_the_reason_of_a_failure(
    stack: Devstack, wide: str
) -> None:
    error = run_to_end(stack, wide, "-p", f"width={TOO_WIDE}", check=False)["error"]
    reason = f"unmappable return value length: {TOO_WIDE} > {TOO_WIDE - 1}"
    assert reason in error["cause"]
    [log] = airflow(stack, "logs", wide, "start")["data"]["logs"]
    assert reason in log["lines"][-1]


def test_a_forced_deletion_while_runs_start_leaves_nothing(stack: Devstack, wide: str) -> None:
    for _ in range(3):
        airflow(stack, "trigger", wide)
    airflow(stack, "delete", "--force", wide)
    server = Airflow(stack)
    assert server.request("GET", f"dags/{wide}").status_code == 404
    runs = server.get("dags/~/dagRuns?limit=1000")["dag_runs"]
    assert wide not in {run["dag_id"] for run in runs}
    assert server.task_pods(wide) == []
