"""The published metaflow-kubeflow and kfp's client work with the service, unmodified."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from tests.conformance.kubeflow.service import DATA, Service
from tests.conformance.kubeflow.workflow_api import WorkflowApi

pytestmark = pytest.mark.docker

GANG = """
from metaflow import FlowSpec, parallel, step
class GangFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.work, num_parallel=2)
    @parallel
    @step
    def work(self):
        self.next(self.join)
    @step
    def join(self, inputs):
        self.next(self.end)
    @step
    def end(self):
        pass
if __name__ == "__main__":
    GangFlow()
"""


class Flow:
    """Metaflow's own command for a flow."""

    def __init__(self, python: Path, file: Path, variables: dict[str, str]) -> None:
        self.python = python
        self.file = file
        self.variables = variables

    def __call__(self, *argv: str, fails: bool = False) -> str:
        command = [str(self.python), str(self.file), "--no-pylint", "kubeflow-pipelines", *argv]
        done = subprocess.run(
            command,
            env={**os.environ, **self.variables},
            cwd=self.variables["METAFLOW_HOME"],
            capture_output=True,
            text=True,
            check=False,
        )
        printed = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, printed
        return printed


@pytest.fixture
def linear(kubeflow_python: Path, flow_variables: dict[str, str]) -> Flow:
    return Flow(kubeflow_python, DATA / "linear_flow.py", flow_variables)


def test_a_flow_is_created_triggered_terminated_and_deleted(
    linear: Flow, service: Service, api: WorkflowApi, tmp_path: Path
) -> None:
    linear("create", "--missing", "5")
    # The second one replaces the schedule of the first.
    linear("create", "--missing", "5")
    (cron,) = api.crons.values()
    assert cron["spec"]["schedules"] == ["30 6 * * ?"]
    file = tmp_path / "run"
    linear("trigger", "--missing", "4", "--word", "it's $HOME", "--run-id-file", str(file))
    run_id = file.read_text().removeprefix("kfp-")
    (workflow,) = api.workflows.values()
    assert workflow["metadata"]["labels"]["pipeline/runid"] == run_id
    values = {each["name"]: each["value"] for each in workflow["spec"]["arguments"]["parameters"]}
    assert (values["missing"], values["word"]) == ("4", "it's $HOME")
    assert "PENDING" in linear("status", "--kfp-run-id", run_id)
    linear("terminate", "--kfp-run-id", run_id)
    assert "CANCELING" in linear("status", "--kfp-run-id", run_id)
    linear("delete")
    assert api.crons == {}
    names = {each["display_name"] for each in service.get("pipelines")["pipelines"]}
    assert "LinearFlow" not in names


def test_an_error_of_the_api_is_metaflows_message(linear: Flow) -> None:
    printed = linear("create", fails=True)
    assert "input missing: it has no value" in printed
    assert "Traceback" not in printed
    linear("delete")


def test_another_users_deployment_needs_the_token(linear: Flow) -> None:
    linear("create", "--missing", "5")
    linear.variables["METAFLOW_USER"] = "other"
    linear.variables["METAFLOW_TOKEN_HOME"] = linear.variables["METAFLOW_HOME"] + "/other"
    assert "production token" in linear("create", "--missing", "5", fails=True)
    linear.variables["METAFLOW_USER"] = "tester"
    linear("delete")


def test_a_gang_is_refused_before_anything_is_uploaded(linear: Flow, tmp_path: Path) -> None:
    linear.file = tmp_path / "gang.py"
    linear.file.write_text(GANG)
    # An upload would end in another error.
    linear.variables["AWS_ENDPOINT_URL_S3"] = "http://127.0.0.1:1"
    printed = linear("create", fails=True)
    assert "step work: @parallel" in printed
    assert "Traceback" not in printed


def kfp(python: Path, service: Service, program: str) -> str:
    """Run a program with kfp's client; return what it prints."""
    lines = ["import kfp, os", "client = kfp.Client(existing_token=os.environ['TOKEN'])"]
    done = subprocess.run(
        [str(python), "-W", "ignore", "-c", "\n".join([*lines, dedent(program)])],
        env={**os.environ, "KF_PIPELINES_ENDPOINT": service.url, "TOKEN": service.token},
        cwd=DATA,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_kfps_client_runs_a_pipeline_written_with_kfp_alone(
    kubeflow_python: Path, service: Service, api: WorkflowApi
) -> None:
    run_id = kfp(
        kubeflow_python,
        service,
        """
        run = client.create_run_from_pipeline_package("loop-pipeline.yaml", {"count": 5})
        print(client.get_run(run.run_id).state)
        print(client.list_runs(page_size=1).runs[0].run_id, run.run_id)
        """,
    ).split()[-1]
    (name,) = (
        name
        for name, each in api.workflows.items()
        if each["metadata"]["labels"]["pipeline/runid"] == run_id
    )
    api.set_phase(name, "Succeeded")
    waited = f"print(client.wait_for_run_completion({run_id!r}, 30).state)"
    assert "SUCCEEDED" in kfp(kubeflow_python, service, waited)


def test_kfps_client_knows_pipelines_experiments_and_recurring_runs(
    kubeflow_python: Path, service: Service, api: WorkflowApi
) -> None:
    printed = kfp(
        kubeflow_python,
        service,
        """
        pipeline = client.upload_pipeline("fixed-items.yaml", pipeline_name="by-client")
        pipeline_id = pipeline.pipeline_id
        assert client.get_pipeline_id("by-client") == pipeline_id
        (version,) = client.list_pipeline_versions(pipeline_id).pipeline_versions
        experiment = client.create_experiment("trial")
        assert client.get_experiment(experiment_name="trial").created_at
        job = client.create_recurring_run(
            experiment.experiment_id, "job", cron_expression="0 */5 * * * *",
            pipeline_id=pipeline_id, version_id=version.pipeline_version_id,
        )
        client.disable_recurring_run(job.recurring_run_id)
        print(client.get_recurring_run(job.recurring_run_id).status)
        print(len(client.list_recurring_runs(experiment_id=experiment.experiment_id).recurring_runs))
        client.delete_recurring_run(job.recurring_run_id)
        try:
            client.upload_pipeline("condition.yaml", pipeline_name="refused")
        except Exception as error:
            print(error.status, error.body)
        client.delete_pipeline_version(pipeline_id, version.pipeline_version_id)
        client.delete_pipeline(pipeline_id)
        assert client.get_pipeline_id("by-client") is None
        """,
    )
    assert "DISABLED" in printed
    assert "400" in printed
    assert "dsl.If" in printed
    assert api.crons == {}
