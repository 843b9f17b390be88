"""Compile a flow to a template of Argo, with Metaflow in a process of its own."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import devstack
from devstack.deployers.argo.metaflow_compiler import REFUSED_STATUS
from devstack.deployers.base import DeployOptions
from devstack.deployers.unsupported import Violation, unsupported_error
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.environment import FlowEnvironment
from devstack.flows.failure import no_flow_error
from devstack.flows.source import FlowSource
from devstack.process import Completed, Runner

COMPILE_TIMEOUT = 300.0

LAUNCH = """
import sys
sys.path[:] = [sys.argv.pop(1), *filter(None, sys.path)]
from devstack.deployers.argo.metaflow_compiler import main
main()
"""
"""Imports the compiler from devstack's folder, which the user's interpreter does not have."""

PRESETS = {"hourly": "0 * * * *", "daily": "0 0 * * *", "weekly": "0 0 * * 0"}
"""As Metaflow's @schedule, without the seconds and the year of AWS."""

_MESSAGE = re.compile(r"^ {4}\S")
"""Metaflow indents the message of an error by four spaces."""


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
    """

    flow: str
    template: Mapping[str, Any]
    schedule: str
    timezone: str
    paused: bool
    output: str

    @property
    def name(self) -> str:
        """The name of the deployment."""
        return str(self.template["metadata"]["name"])


def compile_flow(options: DeployOptions, env: FlowEnvironment, runner: Runner) -> CompiledTemplate:
    """Compile a flow.

    Args:
        options: the flow, and how to compile it.
        env: the environment of the flow's process; its interpreter has Metaflow.
        runner: runs Metaflow.

    Raises:
        DevstackError: ``FLOW_UNSUPPORTED`` with every reason, ``PARAMETER_WRONG``,
            ``SCHEDULE_INVALID``, ``FLOW_NOT_STARTED``, or ``COMPILE_FAILED`` with Metaflow's
            output.
    """
    schedule = cron_of(options.schedule)
    with tempfile.TemporaryDirectory(prefix="devstack-") as folder:
        report = Path(folder) / "report.json"
        wanted = {"project": options.project, "parameters": dict(options.parameters)}
        report.write_text(json.dumps(wanted))
        argv = _argv(options, env.python, report)
        done = runner.run(argv, env=env.changes(), timeout=COMPILE_TIMEOUT, check=False)
        made = json.loads(report.read_text())
    if refusal := _refusal(options.source, done, made):
        raise refusal
    if not done.ok or "template" not in made:
        raise _failed(options.source, done)
    if options.schedule:
        made |= {"schedule": schedule, "timezone": ""}
    return CompiledTemplate(**made, paused=options.paused, output=done.stdout)


def cron_of(schedule: str) -> str:
    """Return the cron expression of a schedule; empty for ``none``.

    Raises:
        DevstackError: ``SCHEDULE_INVALID``: it has not five fields, those of Argo.
    """
    if schedule in ("", "none"):
        return ""
    found = PRESETS.get(schedule, schedule)
    if len(found.split()) == len(PRESETS["daily"].split()):
        return found
    raise DevstackError(
        f"cannot use the schedule {schedule!r}",
        cause="Argo's schedules have five fields: minute, hour, day, month, day of the week",
        remedy=f"use {', '.join(PRESETS)}, none, or such as '30 6 * * 1-5'",
        code="SCHEDULE_INVALID",
        exit_status=ExitStatus.USAGE,
    )


def _argv(options: DeployOptions, python: Path, report: Path) -> list[str]:
    root = Path(devstack.__file__).parent.parent
    argv = [str(python), "-c", LAUNCH, str(root), str(report), str(options.source.path)]
    # pylint takes seconds; `devstack run` runs it.
    argv += ["--no-pylint", *options.metaflow_options]
    argv += ["--branch", options.branch] if options.branch else []
    argv += ["--production"] if options.production else []
    argv += ["argo-workflows", *(["--name", options.name] if options.name else [])]
    argv += ["create", *options.create_options]
    timeout = options.workflow_timeout
    return argv + (["--workflow-timeout", str(timeout)] if timeout is not None else [])


def _refusal(source: FlowSource, done: Completed, made: Mapping[str, Any]) -> DevstackError | None:
    """Return the error for what the hooks in Metaflow's process refused; None if nothing."""
    if done.returncode != REFUSED_STATUS:
        return None
    if "error" in made:
        return DevstackError(**made["error"], exit_status=ExitStatus.USAGE)
    if "violations" in made:
        violations = [Violation(**item) for item in made["violations"]]
        return unsupported_error("Argo", source.path, violations)
    # The flow itself exited with this status.
    return None


def _failed(source: FlowSource, done: Completed) -> DevstackError:
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.ok:
        return no_flow_error(f"cannot deploy {source.path}", lines)
    messages = [line.strip() for line in lines if _MESSAGE.match(line)]
    return DevstackError(
        f"cannot compile {source.path}",
        cause=messages[-1] if messages else f"Metaflow exited with status {done.returncode}",
        remedy="correct the flow as Metaflow's message says, then deploy it again",
        code="COMPILE_FAILED",
        exit_status=ExitStatus.USAGE,
        output="\n".join(lines),
    )
