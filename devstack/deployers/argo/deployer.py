"""The deployer for a stack's Argo Workflows."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from devstack.deployers.argo.compile import CompiledTemplate, compile_flow
from devstack.deployers.argo.deliver import CRON, delete_template, deliver_template, render
from devstack.deployers.argo.follow import (
    change_run,
    failure_of,
    follow_run,
    read_logs,
    stop_run,
    wait_new_run,
)
from devstack.deployers.argo.gang_checks import check_gangs
from devstack.deployers.argo.lookup import find_run, find_template, flow_of, runs_of
from devstack.deployers.argo.parameters import EXACT, encode_parameters
from devstack.deployers.argo.trigger import start_run
from devstack.deployers.base import Deployment, DeployOptions, Note, RunResult, TaskLog
from devstack.deployers.compiled_file import write_compiled
from devstack.deployers.deployment_lock import deployment_lock
from devstack.deployers.errors import engine_missing
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.environment import FlowEnvironment
from devstack.kube.client import Object
from devstack.kube.resources import ARGO
from devstack.kube.workflows import (
    Node,
    Workflow,
    flow_templates,
    parameter_defaults,
    parameter_types,
)
from devstack.owner import login_name
from devstack.samples.checks.result import CheckResult
from devstack.services import argo
from devstack.services.argo_events import ArgoEventsService
from devstack.stack import Stack, require_up

_USAGE = "devstack argo trigger --param NAME=VALUE NAME"


@dataclass(frozen=True)
class ArgoDeployer:
    """Deploys flows as templates; see :class:`devstack.deployers.base.Deployer`.

    Attributes:
        stack: the stack.
    """

    stack: Stack
    engine: str = "argo"

    @property
    def _namespace(self) -> str:
        return self.stack.state.namespace

    def compile(self, options: DeployOptions, env: FlowEnvironment) -> CompiledTemplate:
        """Compile a flow to a template."""
        has_events = any(each.name == ArgoEventsService.name for each in self.stack.services)
        enable = f"devstack up --with argo-events --name {self.stack.spec.name}"
        return compile_flow(options, env, self.stack.runner, "" if has_events else enable)

    def deliver(self, compiled: CompiledTemplate, note: Note) -> Deployment:
        """Write the template, its schedule and its sensor; wait until it receives events."""
        with deployment_lock(self.stack, self.engine, compiled.name, note):
            return deliver_template(self.stack, compiled, self.url(compiled.name), note)

    def render(self, compiled: CompiledTemplate) -> str:
        """Return the template, its schedule and its sensor as YAML."""
        return render(compiled, self._namespace)

    def write(self, compiled: CompiledTemplate, target: Path) -> Path:
        """Write the template, its schedule and its sensor to a file; return its path.

        Args:
            compiled: the compiled flow.
            target: a file, or a folder that exists.

        Raises:
            DevstackError: ``TEMPLATE_NOT_WRITTEN``.
        """
        name = f"{compiled.name}.yaml"
        return write_compiled(self.render(compiled), name, target, "TEMPLATE_NOT_WRITTEN")

    def resolve(self, name: str) -> str:
        """Return the name of a deployment given by its name, or by the flow's if unique."""
        return str(self._template(name)["metadata"]["name"])

    def _template(self, name: str) -> Object:
        return find_template(self.stack.kube(), self._namespace, name)

    def deployments(self) -> list[dict[str, Any]]:
        """Return all deployments: name, flow, schedule, time zone, and whether it is suspended."""
        kube = self.stack.kube()
        crons = {each["metadata"]["name"]: each for each in self._crons()}
        return [
            {
                "name": each["metadata"]["name"],
                "flow": flow_of(each),
                **_schedule_of(crons.get(each["metadata"]["name"])),
            }
            for each in flow_templates(kube, self._namespace)
        ]

    def _crons(self) -> list[Object]:
        return self.stack.kube().list_objects(ARGO, CRON, self._namespace)

    def set_paused(self, name: str, paused: bool) -> None:
        """Suspend or resume the schedule of a deployment.

        Raises:
            DevstackError: ``SCHEDULE_NONE``.
        """
        kube = self.stack.kube()
        if kube.find(ARGO, CRON, name, self._namespace) is None:
            raise _no_schedule(name)
        kube.patch(ARGO, CRON, name, {"spec": {"suspend": paused}}, self._namespace)

    def set_suspended(self, run: Workflow, suspended: bool) -> None:
        """Suspend or resume a run: running pods continue, no new one is started."""
        change_run(self.stack, run, {"suspend": suspended})

    def trigger(self, name: str, parameters: Mapping[str, str]) -> Workflow:
        """Start a run of a deployment."""
        template = self._template(name)
        values = encode_parameters(
            parameter_types(template),
            parameters,
            _USAGE,
            exact=template["metadata"]["annotations"].get(EXACT) == "true",
            defaults=parameter_defaults(template),
        )
        user = json.dumps({"type": "user", "name": login_name(os.geteuid())})
        annotations = {"metaflow/triggered_by_user": user}
        return start_run(self.stack, template, values, annotations)

    def runs(self, name: str = "", limit: int = 25) -> list[Workflow]:
        """Return the latest runs of a deployment, or of all; the latest first."""
        return runs_of(self.stack.kube(), self._namespace, name)[:limit]

    def find_run(self, name: str) -> Workflow:
        """Return a run by Argo's name, Metaflow's id, or the latest run of a deployment."""
        return find_run(self.stack.kube(), self._namespace, name)

    def follow(
        self, run: Workflow, note: Note, timeout: float | None = None
    ) -> RunResult[Workflow]:
        """Wait until a run is finished."""
        return follow_run(self.stack, run, note, timeout)

    def wait_scheduled_run(self, name: str, known: Collection[str], note: Note) -> Workflow:
        """Wait until the schedule starts a run whose id is not in ``known``, and return it."""
        return wait_new_run(self.stack, name, known, note, "scheduled")

    def wait_event_run(self, name: str, known: Collection[str], note: Note) -> Workflow:
        """Wait until an event starts a run whose id is not in ``known``, and return it."""
        return wait_new_run(self.stack, name, known, note, "event")

    def backfill(
        self,
        name: str,
        dates: tuple[datetime, datetime],
        date_parameter: str,
        note: Note,
        timeout: float | None = None,
    ) -> list[RunResult[Workflow]]:
        """Raise ``BACKFILL_UNSUPPORTED``: Argo does not know the dates of the past."""
        raise DevstackError(
            f"cannot backfill {name}",
            cause="Argo has no backfill, and devstack has none for it yet",
            remedy=f"trigger it for each date: --param {date_parameter}=DATE",
            code="BACKFILL_UNSUPPORTED",
            exit_status=ExitStatus.USAGE,
        )

    def stop(self, run: Workflow) -> None:
        """Terminate a run."""
        stop_run(self.stack, run)

    def failure(self, result: RunResult[Workflow]) -> DevstackError:
        """Return the error that explains why a run did not succeed."""
        return failure_of(self.stack, result)

    def check_run(self, result: RunResult[Workflow]) -> list[CheckResult]:
        """Check that the JobSets of a run were scheduled as gangs."""
        nodes = [each for each in result.tasks if isinstance(each, Node)]
        return check_gangs(self.stack.kube(), self._namespace, nodes)

    def logs(self, run: Workflow, task: str = "", attempt: int = 0) -> Iterator[TaskLog]:
        """Yield the logs of a run's tasks whose pods exist."""
        return read_logs(self.stack, run, task, attempt)

    def delete(self, name: str, *, force: bool) -> None:
        """Delete a deployment with its schedule, its sensor and its runs."""
        with deployment_lock(self.stack, self.engine, name):
            delete_template(self.stack, name, force=force)

    def url(self, name: str = "") -> str:
        """Return the address of a deployment's page, or of the home page."""
        home = argo.url(self.stack.context(None))
        return f"{home}/workflow-templates/{self._namespace}/{name}" if name else f"{home}/"


def open_deployer(stack: Stack) -> ArgoDeployer:
    """Return the deployer for a stack's Argo.

    Raises:
        DevstackError: ``STACK_DOWN``, or ``ARGO_DISABLED`` if the stack has no Argo.
    """
    require_up(stack)
    if any(service.name == argo.ArgoService.name for service in stack.services):
        return ArgoDeployer(stack)
    raise engine_missing("Argo Workflows", "argo", stack.spec.name)


def _schedule_of(cron: Object | None) -> dict[str, Any]:
    spec = (cron or {}).get("spec", {})
    schedules = spec.get("schedules") or [spec.get("schedule") or ""]
    return {
        "schedule": ", ".join(filter(None, schedules)),
        "timezone": spec.get("timezone") or "",
        "suspended": bool(spec.get("suspend")) and any(schedules),
    }


def _no_schedule(name: str) -> DevstackError:
    return DevstackError(
        f"{name} has no schedule",
        cause="only a schedule, or a run, can be suspended",
        remedy="devstack argo runs shows the runs",
        code="SCHEDULE_NONE",
        exit_status=ExitStatus.USAGE,
    )
