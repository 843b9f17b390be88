"""Compiling for Kubeflow Pipelines, and what its deployer knows without the API."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.cli.run_deployed import ENGINES, run_deployed
from devstack.deployers.base import DeployOptions, RunResult
from devstack.deployers.flow_description import FlowDescription
from devstack.deployers.kubeflow.client import PipelinesClient, PipelinesUnavailableError
from devstack.deployers.kubeflow.compile import compile_flow, cron_of
from devstack.deployers.kubeflow.deployer import open_deployer
from devstack.deployers.kubeflow.parameters import convert_values
from devstack.deployers.kubeflow.runs import flow_of, parameter_kinds, parse_run
from devstack.deployers.kubeflow.unsupported import find_violations
from devstack.deployers.suite import DeployerSuite
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.source import FlowSource
from devstack.ports import any_free
from devstack.process import SubprocessRunner
from devstack.samples.catalogue import KUBEFLOW_SAMPLES
from devstack.schema import dump
from devstack.services import SERVICES
from tests.fakes.airflow import airflow_stack
from tests.fakes.api import FakeApi
from tests.fakes.argo import argo_stack
from tests.support.dag_compilation import compile_environment

FLOW = """
from metaflow import FlowSpec, step
class MyFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.end)
    @step
    def end(self):
        pass
if __name__ == "__main__":
    MyFlow()
"""


def source(tmp_path: Path) -> FlowSource:
    path = tmp_path / "my_flow.py"
    path.write_text(FLOW)
    return FlowSource(path)


def test_a_python_without_the_package_is_named_with_the_command(tmp_path: Path) -> None:
    env = compile_environment(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(DevstackError) as caught:
        compile_flow(DeployOptions(source(tmp_path)), env, SubprocessRunner())
    assert caught.value.code == "METAFLOW_KUBEFLOW_MISSING"
    assert caught.value.remedy == f"{env.python} -m pip install metaflow-kubeflow"


def test_a_limit_of_a_run_is_refused(tmp_path: Path) -> None:
    env = compile_environment(tmp_path, "http://127.0.0.1:1")
    options = DeployOptions(source(tmp_path), workflow_timeout=60)
    with pytest.raises(DevstackError, match="duration") as caught:
        compile_flow(options, env, SubprocessRunner())
    assert caught.value.exit_status == ExitStatus.USAGE


@pytest.mark.parametrize(
    ("schedule", "cron"),
    [
        ("", ""),
        ("none", ""),
        ("hourly", "0 0 * * * ?"),
        ("30 6 * * 1-5", "0 30 6 * * 1-5"),
        # Kubeflow's own, with the seconds first.
        ("0 30 6 * * ?", "0 30 6 * * *"),
        ("0 0 0 ? * SUN", "0 0 0 * * SUN"),
        # AWS's, with the year last; its Monday is day 2.
        ("0 10 * * ? *", "0 0 10 * * *"),
        ("0 9 ? * 2 *", "0 0 9 * * MON"),
    ],
)
def test_schedules_of_the_command_line(schedule: str, cron: str) -> None:
    assert cron_of(schedule) == cron


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("30 6 * *", "4 fields"),
        ("30 0 6 * * *", "the seconds"),
        ("0 9 ? * MON 2027", "the year"),
        ("0 9 ? * 6L *", "last or numbered weekday"),
        ("0 30 26 * * *", "'26' is no hour"),
    ],
)
def test_a_schedule_that_would_not_start_runs_is_refused(schedule: str, reason: str) -> None:
    with pytest.raises(DevstackError, match=reason) as caught:
        cron_of(schedule)
    assert caught.value.code == "SCHEDULE_INVALID"


def test_the_schedules_of_a_flow_are_checked_like_those_of_the_command() -> None:
    (found,) = find_violations(FlowDescription("MyFlow", "s3", {}), "", "0 9 ? * MON 2027")
    assert (found.where, "no years" in found.reason) == ("@schedule", True)


def test_values_get_their_types() -> None:
    kinds = {
        "n": "NUMBER_INTEGER",
        "x": "NUMBER_DOUBLE",
        "b": "BOOLEAN",
        "t": "STRING",
        "l": "LIST",
    }
    values = {"n": "3", "x": "0.5", "b": "yes", "t": "3", "l": "[1]"}
    found = convert_values(kinds, values, "")
    assert found == {"n": 3, "x": 0.5, "b": True, "t": "3", "l": [1]}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("NUMBER_INTEGER", "3.5"),
        ("NUMBER_DOUBLE", "nan"),
        ("BOOLEAN", "maybe"),
        ("LIST", "["),
    ],
)
def test_values_of_other_types_are_refused(kind: str, text: str) -> None:
    with pytest.raises(DevstackError) as caught:
        convert_values({"n": kind}, {"n": text}, "")
    assert (caught.value.code, caught.value.exit_status) == ("PARAMETER_WRONG", ExitStatus.USAGE)


def test_an_unknown_parameter_is_refused_with_those_that_exist() -> None:
    with pytest.raises(DevstackError) as caught:
        convert_values({"n": "STRING"}, {"m": "1"}, "")
    assert "it has n" in caught.value.cause


def record(**more: Any) -> dict[str, Any]:
    return {
        "run_id": "1-2",
        "state": "SUCCEEDED",
        "created_at": "2026-11-28T05:00:00.500000Z",
        "finished_at": "2026-11-28T05:01:00.500000Z",
        "pipeline_version_reference": {"pipeline_id": "p"},
        "runtime_config": {"parameters": {"n": 3, "t": "x"}},
        **more,
    }


def test_a_run_is_what_the_commands_show() -> None:
    found = parse_run(record(), {"p": "MyFlow"})
    assert (found.name, found.metaflow_id, found.seconds) == ("MyFlow", "kfp-1-2", 60.0)
    assert (found.state, found.finished, found.kind) == ("succeeded", True, "manual")
    assert found.parameters == {"n": "3", "t": "x"}


def test_a_run_of_a_schedule_is_scheduled_and_active_until_its_end() -> None:
    found = parse_run(record(recurring_run_id="r", state="CANCELING", finished_at=None), {})
    assert (found.kind, found.finished, found.seconds, found.name) == ("scheduled", False, None, "")


def test_a_flow_is_known_by_the_annotations_of_its_pods() -> None:
    executors = {"exec-a": {"podMetadata": {"annotations": {"metaflow/flow_name": "MyFlow"}}}}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}
    inputs = {"parameters": {"n": {"parameterType": "BOOLEAN"}}}
    spec = {"pipeline_spec": {"root": {"inputDefinitions": inputs}}, "platform_spec": platform}
    assert flow_of(spec) == "MyFlow"
    assert flow_of({"root": {}}) == ""
    assert parameter_kinds(spec) == {"n": "BOOLEAN"}


def test_an_api_that_does_not_answer_is_named() -> None:
    client = PipelinesClient(f"http://127.0.0.1:{any_free(set())}", "word")
    with pytest.raises(PipelinesUnavailableError) as caught:
        client.get("runs")
    assert caught.value.code == "KUBEFLOW_UNREACHABLE"
    assert "word" not in str(caught.value)


def test_a_stack_without_it_is_told_how_to_include_it(tmp_path: Path) -> None:
    stack = airflow_stack(1, tmp_path)
    assert open_deployer(stack).engine == "kubeflow"
    stack.services = tuple(each for each in SERVICES if each.name != "kubeflow")
    with pytest.raises(DevstackError) as caught:
        open_deployer(stack)
    assert caught.value.code == "KUBEFLOW_DISABLED"
    assert "--with kubeflow" in caught.value.remedy


def test_a_limit_of_a_wait_needs_the_wait(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["kubeflow", "trigger", "MyFlow", "--timeout", "9", "--json"]
    assert run(argv, Output()) == ExitStatus.USAGE
    assert "add --wait" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert run([*argv, "--wait"], Output()) == ExitStatus.ENVIRONMENT
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "STACK_DOWN"


def test_the_samples_for_kubeflow_are_listed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", "--kubeflow", "--list", "--json"], Output()) == ExitStatus.OK
    samples = json.loads(capsys.readouterr().out)["data"]["samples"]
    assert [each["name"] for each in samples] == [sample.name for sample in KUBEFLOW_SAMPLES]


def test_a_run_has_the_fields_of_a_workflows_run() -> None:
    """`devstack run --kubeflow` and `--argo` print the same structure."""
    (engine,) = (each for each in ENGINES if each.name == "kubeflow")
    structure, _ = engine.structures()
    ended = dump(structure, RunResult(parse_run(record(), {}), [], ok=True))
    assert (ended["run_id"], ended["metaflow_run_id"]) == ("1-2", "kfp-1-2")


def test_the_users_python_compiles_samples_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """devstack's own Python does not have metaflow-kubeflow."""
    suites: list[DeployerSuite] = []

    def run_samples(suite: DeployerSuite, *_arguments: Any) -> list[Any]:
        suites.append(suite)
        return []

    monkeypatch.setattr(DeployerSuite, "run_samples", run_samples)
    monkeypatch.setattr("devstack.cli.sample_results.show_table", lambda *_arguments: None)
    stack = argo_stack(tmp_path, FakeApi(), monkeypatch)
    stack.runner = SubprocessRunner()
    for engine in ENGINES:
        if engine.name != "airflow":
            run_deployed(
                Output(),
                stack,
                engine,
                (),
                KUBEFLOW_SAMPLES[:1],
                (),
                1,
                None,
                sys.executable,
                explicit=False,
            )
    argo, kubeflow = suites
    assert not hasattr(argo.deployer, "python")
    assert kubeflow.deployer.python == Path(sys.executable)
