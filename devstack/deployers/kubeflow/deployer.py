"""The deployer for a stack's Kubeflow Pipelines."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from devstack.deployers.base import Deployment, DeployOptions, Note, RunResult, TaskLog
from devstack.deployers.deployment_lock import deployment_lock
from devstack.deployers.errors import engine_missing
from devstack.deployers.kubeflow.client import PipelinesClient
from devstack.deployers.kubeflow.compile import CompiledPipeline, compile_flow
from devstack.deployers.kubeflow.deliver import delete_pipeline, deliver_pipeline
from devstack.deployers.kubeflow.follow import (
    failure_of,
    follow_run,
    read_logs,
    stop_run,
    wait_scheduled_run,
)
from devstack.deployers.kubeflow.lookup import (
    deployed_flows,
    find_pipeline,
    find_run,
    runs_of,
    schedule_name,
    schedules_of,
)
from devstack.deployers.kubeflow.parameters import convert_values
from devstack.deployers.kubeflow.runs import PipelineRun, parse_run
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.environment import FlowEnvironment
from devstack.samples.checks.result import CheckResult
from devstack.services import argo, kubeflow
from devstack.stack import Stack, require_up

_USAGE = "devstack kubeflow trigger --param NAME=VALUE NAME"


@dataclass(frozen=True)
class KubeflowDeployer:
    """Deploys flows as pipelines; see :class:`devstack.deployers.base.Deployer`.

    Attributes:
        stack: the stack.
        python: the interpreter that compiles flows, which has metaflow-kubeflow; None for that
            of the flow's environment.
    """

    stack: Stack
    engine: str = "kubeflow"
    python: Path | None = None

    @cached_property
    def client(self) -> PipelinesClient:
        """The pipelines API."""
        ctx = self.stack.context(None)
        return PipelinesClient(kubeflow.url(ctx), self.stack.state.credential(kubeflow.TOKEN))

    def compile(self, options: DeployOptions, env: FlowEnvironment) -> CompiledPipeline:
        """Compile a flow to a pipeline."""
        own = replace(env, python=self.python) if self.python else env
        return compile_flow(options, own, self.stack.runner)

    def deliver(self, compiled: CompiledPipeline, note: Note) -> Deployment:
        """Upload the pipeline, and replace its schedule."""
        with deployment_lock(self.stack, self.engine, compiled.name, note):
            return deliver_pipeline(self.stack, self.client, compiled, self.url(), note)

    def resolve(self, name: str) -> str:
        """Return the name of a deployment given by its name, or by the flow's if unique."""
        return find_pipeline(self.client, name).name

    def deployments(self) -> list[dict[str, Any]]:
        """Return all deployments: name, flow, schedule, time zone, and whether it is suspended."""
        schedules = {
            each["display_name"]: each
            for each in self.client.list("recurringruns", "recurringRuns")
        }
        return [
            {
                "name": each.name,
                "flow": each.flow,
                **_schedule_of(schedules.get(schedule_name(each.name))),
            }
            for each in deployed_flows(self.client)
        ]

    def set_paused(self, name: str, paused: bool) -> None:
        """Disable or enable the schedule of a deployment.

        Raises:
            DevstackError: ``SCHEDULE_NONE``.
        """
        found = schedules_of(self.client, name)
        if not found:
            raise _no_schedule(name)
        verb = "disable" if paused else "enable"
        for each in found:
            self.client.post(f"recurringruns/{each}:{verb}")

    def trigger(self, name: str, parameters: Mapping[str, str]) -> PipelineRun:
        """Start a run of a deployment."""
        pipeline = find_pipeline(self.client, name)
        now = datetime.now().strftime("%Y%m%d%H%M%S%f")
        body = {
            "display_name": f"{pipeline.name} ({now})",
            "pipeline_version_reference": {
                "pipeline_id": pipeline.pipeline_id,
                "pipeline_version_id": pipeline.version_id,
            },
            "runtime_config": {
                "parameters": convert_values(pipeline.parameters, parameters, _USAGE)
            },
        }
        return parse_run(self.client.post("runs", body), {pipeline.pipeline_id: pipeline.name})

    def runs(self, name: str = "", limit: int = 25) -> list[PipelineRun]:
        """Return the latest runs of a deployment, or of all; the latest first."""
        return runs_of(self.client, name, limit)

    def find_run(self, name: str) -> PipelineRun:
        """Return a run by its id, Metaflow's id, or the latest run of a deployment."""
        return find_run(self.client, name)

    def follow(
        self, run: PipelineRun, note: Note, timeout: float | None = None
    ) -> RunResult[PipelineRun]:
        """Wait until a run is finished."""
        return follow_run(self.stack, self.client, run, note, timeout)

    def wait_scheduled_run(self, name: str, known: Collection[str], note: Note) -> PipelineRun:
        """Wait until the schedule starts a run whose id is not in ``known``, and return it."""
        return wait_scheduled_run(self.stack, self.client, name, known, note)

    def wait_event_run(self, name: str, known: Collection[str], note: Note) -> PipelineRun:
        """Raise ``EVENTS_UNSUPPORTED``: events do not start pipelines."""
        raise DevstackError(
            f"no event starts a run of {name}",
            cause="metaflow-kubeflow does not support @trigger and @trigger_on_finish",
            remedy="use @schedule, or devstack kubeflow trigger",
            code="EVENTS_UNSUPPORTED",
            exit_status=ExitStatus.USAGE,
        )

    def check_run(self, result: RunResult[PipelineRun]) -> list[CheckResult]:
        """Return no checks: Metaflow's client knows everything of a finished run."""
        return []

    def backfill(
        self,
        name: str,
        dates: tuple[datetime, datetime],
        date_parameter: str,
        note: Note,
        timeout: float | None = None,
    ) -> list[RunResult[PipelineRun]]:
        """Raise ``BACKFILL_UNSUPPORTED``: schedules do not know the dates of the past."""
        raise DevstackError(
            f"cannot backfill {name}",
            cause="Kubeflow Pipelines has no backfill, and devstack has none for it",
            remedy=f"trigger it for each date: --param {date_parameter}=DATE",
            code="BACKFILL_UNSUPPORTED",
            exit_status=ExitStatus.USAGE,
        )

    def stop(self, run: PipelineRun) -> None:
        """Terminate a run."""
        stop_run(self.client, run)

    def failure(self, result: RunResult[PipelineRun]) -> DevstackError:
        """Return the error that explains why a run did not succeed."""
        return failure_of(self.stack, result)

    def logs(self, run: PipelineRun, task: str = "", attempt: int = 0) -> Iterator[TaskLog]:
        """Yield the logs of a run's tasks whose pods exist."""
        return read_logs(self.stack, run, task, attempt)

    def delete(self, name: str, *, force: bool) -> None:
        """Delete a deployment with its schedule and its runs."""
        with deployment_lock(self.stack, self.engine, name):
            delete_pipeline(self.stack, self.client, name, force=force)

    def url(self, name: str = "") -> str:
        """Return the address of Argo's page, which shows the runs; the API has no pages."""
        return f"{argo.url(self.stack.context(None))}/"


def open_deployer(stack: Stack) -> KubeflowDeployer:
    """Return the deployer for a stack's Kubeflow Pipelines.

    Raises:
        DevstackError: ``STACK_DOWN``, or ``KUBEFLOW_DISABLED`` if the stack has none.
    """
    require_up(stack)
    if any(service.name == kubeflow.KubeflowService.name for service in stack.services):
        return KubeflowDeployer(stack)
    raise engine_missing("Kubeflow Pipelines", "kubeflow", stack.spec.name)


def _schedule_of(recurring_run: Mapping[str, Any] | None) -> dict[str, Any]:
    if recurring_run is None:
        return {"schedule": "", "timezone": "", "suspended": False}
    return {
        "schedule": recurring_run["trigger"]["cron_schedule"]["cron"],
        "timezone": "UTC",
        "suspended": recurring_run["status"] == "DISABLED",
    }


def _no_schedule(name: str) -> DevstackError:
    return DevstackError(
        f"{name} has no schedule",
        cause="only a schedule can be suspended",
        remedy="devstack kubeflow list shows the schedules",
        code="SCHEDULE_NONE",
        exit_status=ExitStatus.USAGE,
    )
