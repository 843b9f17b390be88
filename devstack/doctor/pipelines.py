"""Check of Kubeflow Pipelines: the API, its database, and the recurring runs."""

from __future__ import annotations

from collections.abc import Iterator

from devstack.doctor.check import REQUEST_TIMEOUT, Check, Fault, Finding, NotApplicableError
from devstack.doctor.cron_workflows import ScheduleKind, find_schedule_problems
from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient, Object
from devstack.kube.readiness import unavailable_reason
from devstack.kube.resources import ARGO
from devstack.kube.workflows import (
    PIPELINE_RUN_LABEL,
    RECURRING_RUN_LABEL,
    pipeline_run_name,
)
from devstack.services import kubeflow
from devstack.services.http_probe import answers
from devstack.stack import Stack

_LOST, _BACK = "the database does not respond: ", "the database responds"
"""What the service writes into its log, once for each outage (database_service/database.py)."""

_LOG_LINES = 200
_SCHEDULE = " (schedule)"
"""metaflow-kubeflow's name of a recurring run ends so, after that of the pipeline."""


def _check_pipelines(stack: Stack) -> list[Finding]:
    if not any(service.name == kubeflow.KubeflowService.name for service in stack.services):
        raise NotApplicableError("the stack has no Kubeflow Pipelines")
    kube = stack.kube(REQUEST_TIMEOUT)
    return [*_service_problems(stack, kube), *_schedule_problems(kube, stack.state.namespace)]


def _service_problems(stack: Stack, kube: KubeClient) -> Iterator[Finding]:
    reason = unavailable_reason(kube, kubeflow.NAMESPACE, kubeflow.NAME)
    port = stack.state.ports.get("kubeflow", 0)
    mapped = "kubeflow" in stack.state.mapped_ports
    if not reason and (not mapped or answers(port, "/ready")):
        return
    # Without its database the service responds, but Kubernetes calls its pod not ready.
    lost = _lost_database(kube)
    if lost or (not reason and answers(port, "/ping")):
        cause = f"the pipelines API cannot use its database: {lost or 'it does not respond'}"
        remedy = "devstack logs postgres; `devstack up` restarts it, and resets the password"
        yield Finding(cause, remedy, "PIPELINES_DATABASE")
        return
    reason = reason or f"it does not respond on port {port} of this machine"
    cause = f"the pipelines API is down, so no pipeline is deployed or triggered: {reason}"
    yield Finding(cause, "devstack logs kubeflow; `devstack up` restarts it", "PIPELINES_DOWN")


def _lost_database(kube: KubeClient) -> str:
    """Return the last error of the database if the service has not reached it since."""
    pods = kube.list_objects(
        "v1", "Pod", kubeflow.NAMESPACE, labels=f"app.kubernetes.io/name={kubeflow.LABEL}"
    )
    for pod in pods:
        if pod.get("status", {}).get("phase") != "Running":
            continue
        try:
            log = kube.logs(pod["metadata"]["name"], kubeflow.NAMESPACE, tail=_LOG_LINES)
        except ApiError:
            continue
        told = [line for line in log.splitlines() if _LOST in line or _BACK in line]
        if told and _LOST in told[-1]:
            return told[-1].partition(_LOST)[2]
    return ""


def _schedule_problems(kube: KubeClient, namespace: str) -> Iterator[Finding]:
    crons = kube.list_objects(ARGO, "CronWorkflow", namespace, labels=RECURRING_RUN_LABEL)
    workflows = kube.list_objects(ARGO, "Workflow", namespace, labels=RECURRING_RUN_LABEL)
    return find_schedule_problems(_SCHEDULES, crons, workflows)


def _name_of(cron: Object) -> str:
    return pipeline_run_name(cron).removesuffix(_SCHEDULE)


def _run_of(workflow: Object) -> str:
    return str(workflow["metadata"]["labels"].get(PIPELINE_RUN_LABEL, ""))


_SCHEDULES = ScheduleKind(
    "kubeflow",
    ("RECURRING_RUN_INVALID", "RECURRING_RUN_NOT_STARTED", "RECURRING_RUN_FAILED"),
    _name_of,
    _run_of,
)

PIPELINES_CHECKS = (
    Check(
        "pipelines",
        "the pipelines API responds, and recurring runs start",
        _check_pipelines,
        (
            Fault(
                "PIPELINES_DOWN",
                "The pipelines API is down; workflows run all the same.",
                "`devstack logs kubeflow`; `devstack up` restarts it.",
            ),
            Fault(
                "PIPELINES_DATABASE",
                "The pipelines API cannot use its database.",
                "`devstack logs postgres`; `devstack up` restarts it, and resets the password.",
            ),
            Fault(
                "RECURRING_RUN_INVALID",
                "Argo cannot evaluate the schedule of a recurring run.",
                "`devstack kubeflow deploy FLOW.py --schedule WHEN`.",
            ),
            Fault(
                "RECURRING_RUN_NOT_STARTED",
                "Argo could not start a run of a recurring run.",
                "`devstack kubeflow deploy FLOW.py`, or `devstack kubeflow trigger NAME`.",
            ),
            Fault(
                "RECURRING_RUN_FAILED",
                "The last run of a recurring run failed.",
                "`devstack kubeflow logs RUN`.",
                "warning",
            ),
        ),
        needs_stack=True,
    ),
)
