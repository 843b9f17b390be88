"""Compile a flow to a pipeline, with Metaflow in a process of its own."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from devstack.cron import ScheduleError
from devstack.deployers.base import DeployOptions
from devstack.deployers.compiling import (
    COMPILE_TIMEOUT,
    compile_failed,
    launcher,
    metaflow_argv,
    refusal,
)
from devstack.deployers.errors import schedule_invalid
from devstack.deployers.kubeflow.schedule import PRESETS, kubeflow_schedule
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.environment import FlowEnvironment
from devstack.process import Runner

LAUNCH = launcher("kubeflow")


@dataclass(frozen=True)
class CompiledPipeline:
    """A pipeline, not yet delivered.

    Attributes:
        name: the name of the deployment.
        flow: the flow's class.
        pipeline: the file that kfp's compiler wrote.
        schedule: a cron expression of six fields; empty if there is no schedule.
        paused: True to leave the schedule disabled.
        output: what Metaflow printed.
    """

    name: str
    flow: str
    pipeline: str
    schedule: str
    paused: bool
    output: str


def compile_flow(options: DeployOptions, env: FlowEnvironment, runner: Runner) -> CompiledPipeline:
    """Compile a flow.

    Args:
        options: the flow, and how to compile it.
        env: the environment of the flow's process; its interpreter has metaflow-kubeflow.
        runner: runs Metaflow.

    Raises:
        DevstackError: ``METAFLOW_KUBEFLOW_MISSING``, ``FLOW_UNSUPPORTED`` with every reason,
            ``PARAMETER_WRONG``, ``SCHEDULE_INVALID``, ``FLOW_NOT_STARTED``, or
            ``COMPILE_FAILED`` with Metaflow's output.
    """
    _require_supported(options)
    cron_of(options.schedule)
    with tempfile.TemporaryDirectory(prefix="devstack-") as folder:
        report = Path(folder) / "report.json"
        wanted = {
            "project": options.project,
            "parameters": dict(options.parameters),
            "schedule": options.schedule,
        }
        report.write_text(json.dumps(wanted))
        argv = metaflow_argv(options, env.python, LAUNCH, report, "kubeflow-pipelines")
        argv += ["create", *options.create_options]
        done = runner.run(argv, env=env.changes(), timeout=COMPILE_TIMEOUT, check=False)
        if refused := refusal("Kubeflow Pipelines", options.source, done, report):
            raise refused
        made = json.loads(report.read_text()) if done.ok else {}
    if "pipeline" not in made:
        raise compile_failed(options.source, done)
    return CompiledPipeline(**made, paused=options.paused, output=done.stdout)


def _require_supported(options: DeployOptions) -> None:
    if options.workflow_timeout is None:
        return
    raise DevstackError(
        "cannot limit the duration of a run",
        cause="pipelines of Kubeflow have no such limit",
        remedy="omit --workflow-timeout; use @timeout for steps",
        code="OPTION_UNSUPPORTED",
        exit_status=ExitStatus.USAGE,
    )


def cron_of(schedule: str) -> str:
    """Return the cron expression of a schedule, with the seconds first; empty for ``none``.

    Raises:
        DevstackError: ``SCHEDULE_INVALID``: Kubeflow Pipelines does not evaluate it so.
    """
    try:
        return kubeflow_schedule(schedule)
    except ScheduleError as error:
        raise schedule_invalid(schedule, error, PRESETS) from None
