"""Checks of Argo Workflows."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from devstack.doctor.bucket import Refused, examine_bucket
from devstack.doctor.check import REQUEST_TIMEOUT, Check, Fault, Finding, NotApplicableError
from devstack.doctor.cron_workflows import ScheduleKind, find_schedule_problems
from devstack.kube.client import KubeClient, Object
from devstack.kube.offers import measure_offers
from devstack.kube.pods import observe_pod
from devstack.kube.readiness import unavailable_reason
from devstack.kube.resources import ARGO
from devstack.kube.workflows import RECURRING_RUN_LABEL, WORKFLOW_LABEL, parse_workflow
from devstack.services import argo
from devstack.services.http_probe import answers
from devstack.stack import Stack
from devstack.waits import Failed

_RESTART = "devstack logs argo; `devstack up` restarts it"


def _check_controller(stack: Stack) -> list[Finding]:
    reason = unavailable_reason(_kube(stack), argo.NAMESPACE, "argo-controller")
    if not reason:
        return []
    cause = f"Argo's controller is down, so no workflow proceeds: {reason}"
    return [Finding(cause, _RESTART, "ARGO_CONTROLLER_DOWN")]


def _check_server(stack: Stack) -> list[Finding]:
    if reason := unavailable_reason(_kube(stack), argo.NAMESPACE, "argo-server"):
        cause = f"Argo's server is down: {reason}"
        return [Finding(cause, _RESTART, "ARGO_SERVER_DOWN")]
    port = stack.state.ports.get("argo", 0)
    if "argo" not in stack.state.mapped_ports or answers(port, "/"):
        return []
    cause = f"Argo's server does not respond on port {port} of this machine"
    return [Finding(cause, _RESTART, "ARGO_SERVER_DOWN")]


def _check_workflows(stack: Stack) -> list[Finding]:
    kube = _kube(stack)
    namespace = stack.state.namespace
    workflows = kube.list_objects(ARGO, "Workflow", namespace)
    # Those of Kubeflow have a check of their own.
    crons = [
        each
        for each in kube.list_objects(ARGO, "CronWorkflow", namespace)
        if RECURRING_RUN_LABEL not in (each["metadata"].get("labels") or {})
    ]
    templates = kube.list_objects(ARGO, "WorkflowTemplate", namespace)
    return [
        *find_schedule_problems(_SCHEDULES, crons, workflows, templates),
        *_stuck(kube, stack, workflows),
    ]


def _name_of(item: Object) -> str:
    return str(item["metadata"]["name"])


_SCHEDULES = ScheduleKind(
    "argo", ("CRON_INVALID", "CRON_FAILED", "CRON_RUN_FAILED"), _name_of, _name_of
)


def _stuck(kube: KubeClient, stack: Stack, workflows: list[Object]) -> Iterator[Finding]:
    active = {run.run_id for run in map(parse_workflow, workflows) if not run.finished}
    pods = kube.list_objects("v1", "Pod", stack.state.namespace, fields="status.phase=Pending")
    waiting = [pod for pod in pods if _workflow(pod) in active]
    # Once for all pods: it lists all nodes and pods of the cluster.
    unplaced = any(not pod["spec"].get("nodeName") for pod in waiting)
    offers = measure_offers(kube) if unplaced else None
    for pod in waiting:
        observation = observe_pod(kube, pod, offers)
        if isinstance(observation, Failed):
            name = _workflow(pod)
            cause = f"workflow {name} waits for a pod that cannot start: {observation.reason}"
            yield Finding(cause, f"devstack why {name}", "WORKFLOW_STUCK")


def _workflow(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(WORKFLOW_LABEL, ""))


def _check_artifacts(stack: Stack) -> list[Finding]:
    found = examine_bucket(stack, argo.BUCKET, *_keys(stack))
    if isinstance(found, Refused):
        cause = f"MinIO refuses the keys of workflows' artifacts: {found.reason}"
        return [Finding(cause, "devstack up sets them again", "ARTIFACT_KEYS_REJECTED")]
    if found:
        return []
    cause = f"the bucket {argo.BUCKET!r} of workflows' artifacts does not exist"
    return [Finding(cause, "devstack up creates it", "ARTIFACT_BUCKET_MISSING")]


def _keys(stack: Stack) -> tuple[str, str]:
    """Return the keys that workflows use."""
    secret = _kube(stack).find("v1", "Secret", argo.ARTIFACTS_SECRET, stack.state.namespace)
    if secret is None:
        # Reported by the check of Secrets.
        raise NotApplicableError(f"the Secret {argo.ARTIFACTS_SECRET} does not exist")
    data = secret.get("data") or {}
    access, word = (base64.b64decode(data.get(key, "")).decode() for key in argo.ARTIFACT_KEYS)
    return access, word


def _kube(stack: Stack) -> KubeClient:
    """Return the API of a stack that has Argo."""
    if not any(service.name == argo.ArgoService.name for service in stack.services):
        raise NotApplicableError("the stack leaves out argo")
    return stack.kube(REQUEST_TIMEOUT)


ARGO_CHECKS = (
    Check(
        "argo-controller",
        "Argo's controller is running",
        _check_controller,
        (
            Fault(
                "ARGO_CONTROLLER_DOWN",
                "Argo's controller is down, so no workflow proceeds.",
                "`devstack logs argo`; `devstack up` restarts it.",
            ),
        ),
        needs_stack=True,
    ),
    Check(
        "argo-server",
        "Argo's server responds",
        _check_server,
        (
            Fault(
                "ARGO_SERVER_DOWN",
                "Argo's API and page do not respond; workflows run all the same.",
                "`devstack logs argo`; `devstack up` restarts it.",
            ),
        ),
        needs_stack=True,
    ),
    Check(
        "workflows",
        "schedules start runs, and workflows proceed",
        _check_workflows,
        (
            Fault(
                "CRON_INVALID",
                "Argo cannot evaluate a schedule, or its template is missing.",
                "`devstack argo deploy FLOW.py --schedule WHEN`.",
            ),
            Fault(
                "CRON_FAILED",
                "Argo could not start a scheduled run.",
                "`devstack argo deploy FLOW.py`, or `devstack argo trigger NAME`.",
            ),
            Fault(
                "CRON_RUN_FAILED",
                "The last run of a schedule failed.",
                "`devstack argo logs RUN`.",
                "warning",
            ),
            Fault(
                "WORKFLOW_STUCK",
                "A workflow waits for a pod that cannot start.",
                "`devstack why WORKFLOW`.",
            ),
        ),
        needs_stack=True,
    ),
    Check(
        "argo-artifacts",
        "workflows can use the bucket of their artifacts",
        _check_artifacts,
        (
            Fault(
                "ARTIFACT_KEYS_REJECTED",
                "MinIO does not accept the keys that workflows have.",
                "`devstack up` sets them again.",
            ),
            Fault(
                "ARTIFACT_BUCKET_MISSING",
                "The bucket of workflows' artifacts was deleted; Metaflow's are in another one.",
                "`devstack up` creates it, empty.",
            ),
        ),
        needs_stack=True,
    ),
)
