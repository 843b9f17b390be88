"""Compile a flow to a template of Argo, with Metaflow in a process of its own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.cron import ARGO_PRESETS, ScheduleError, argo_schedule
from devstack.deployers.base import DeployOptions
from devstack.deployers.compiling import (
    COMPILE_TIMEOUT,
    compile_failed,
    launcher,
    metaflow_argv,
    refusal,
)
from devstack.deployers.errors import schedule_invalid
from devstack.flows.environment import FlowEnvironment
from devstack.process import Runner

LAUNCH = launcher("argo")


@dataclass(frozen=True)
class CompiledTemplate:
    """A template, not yet delivered.

    Attributes:
        flow: the flow's class.
        template: the WorkflowTemplate.
        schedule: a cron expression of five fields; empty if there is no schedule.
        timezone: the time zone of the schedule; empty for UTC.
        paused: True to leave the schedule suspended.
        output: what Metaflow printed.
        sensor: the Sensor that starts it when events are published; None if there is none.
    """

    flow: str
    template: Mapping[str, Any]
    schedule: str
    timezone: str
    paused: bool
    output: str
    sensor: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """The name of the deployment."""
        return str(self.template["metadata"]["name"])


def compile_flow(
    options: DeployOptions, env: FlowEnvironment, runner: Runner, enable_events: str = ""
) -> CompiledTemplate:
    """Compile a flow.

    Args:
        options: the flow, and how to compile it.
        env: the environment of the flow's process; its interpreter has Metaflow.
        runner: runs Metaflow.
        enable_events: the command that adds Argo Events to the stack; empty if it has them.

    Raises:
        DevstackError: ``FLOW_UNSUPPORTED`` with every reason, ``PARAMETER_WRONG``,
            ``SCHEDULE_INVALID``, ``FLOW_NOT_STARTED``, or ``COMPILE_FAILED`` with Metaflow's
            output.
    """
    check_schedule(options.schedule)
    with tempfile.TemporaryDirectory(prefix="devstack-") as folder:
        report = Path(folder) / "report.json"
        wanted = {
            "project": options.project,
            "parameters": dict(options.parameters),
            "schedule": options.schedule,
            "enable_events": enable_events,
        }
        report.write_text(json.dumps(wanted))
        argv = _argv(options, env.python, report)
        done = runner.run(argv, env=env.changes(), timeout=COMPILE_TIMEOUT, check=False)
        if refused := refusal("Argo", options.source, done, report):
            raise refused
        made = json.loads(report.read_text()) if done.ok else {}
    if "template" not in made:
        raise compile_failed(options.source, done)
    return CompiledTemplate(**made, paused=options.paused, output=done.stdout)


def check_schedule(schedule: str) -> None:
    """Raise ``SCHEDULE_INVALID`` for a value of ``--schedule`` that Argo does not evaluate so."""
    try:
        argo_schedule(schedule)
    except ScheduleError as error:
        raise schedule_invalid(schedule, error, ARGO_PRESETS) from None


def _argv(options: DeployOptions, python: Path, report: Path) -> list[str]:
    argv = metaflow_argv(options, python, LAUNCH, report, "argo-workflows")
    argv += ["create", *options.create_options]
    timeout = options.workflow_timeout
    return argv + (["--workflow-timeout", str(timeout)] if timeout is not None else [])
