"""Hand a compiled flow to Argo, and take it back: its template, its schedule and its sensor."""

from __future__ import annotations

from collections.abc import Sequence

from devstack.deployers.argo.compile import CompiledTemplate
from devstack.deployers.argo.lookup import runs_of
from devstack.deployers.argo.sensors import (
    build_sensor,
    delete_sensor,
    sensor_name,
    wait_for_sensor,
)
from devstack.deployers.argo.trigger import with_version
from devstack.deployers.base import Deployment, Note
from devstack.deployers.errors import deployment_busy
from devstack.errors import DevstackError
from devstack.kube.api_errors import ConflictError
from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import ARGO
from devstack.kube.workflows import pods_of, write_object
from devstack.stack import Stack
from devstack.waits import Observation, Ready, Waiting, wait_until

CRON = "CronWorkflow"
KEPT_RUNS = 10_000
"""Runs of a schedule that are kept, as Metaflow sets it; the controller deletes old ones."""


def deliver_template(stack: Stack, compiled: CompiledTemplate, url: str, note: Note) -> Deployment:
    """Write the template, the schedule and the sensor; only the sensor has to start.

    Args:
        stack: the stack.
        compiled: the compiled flow.
        url: its page in Argo's UI.
        note: shows the progress.

    Raises:
        DevstackError: ``DEPLOYED_MEANWHILE``, or why the sensor does not receive events.
    """
    began = stack.clock.now()
    namespace, kube = stack.state.namespace, stack.kube()
    note("the template is written")
    try:
        for item in build_objects(compiled, namespace):
            write_object(kube, item)
        if not compiled.schedule:
            kube.delete(ARGO, CRON, compiled.name, namespace)
    except ConflictError as error:
        raise _deployed_meanwhile(compiled.name) from error
    sensor = {"sensor": sensor_name(compiled.name)} if compiled.sensor else {}
    if compiled.sensor:
        wait_for_sensor(stack, sensor_name(compiled.name), note)
    else:
        delete_sensor(stack, compiled.name)
    return Deployment(
        name=compiled.name,
        flow=compiled.flow,
        schedule=compiled.schedule,
        paused=compiled.paused,
        url=url,
        deliver_seconds=stack.clock.now() - began,
        details={"template": compiled.name, **sensor},
    )


def build_objects(compiled: CompiledTemplate, namespace: str) -> list[Object]:
    """Return the objects of a deployment: its template, and its schedule and sensor if any."""
    template = with_version(compiled.template)
    objects: list[Object] = [{"apiVersion": ARGO, **template, "kind": "WorkflowTemplate"}]
    if compiled.schedule:
        objects.append(build_schedule(compiled, namespace))
    if compiled.sensor:
        objects.append(build_sensor(compiled.sensor))
    return objects


def render(compiled: CompiledTemplate, namespace: str) -> str:
    """Return the objects of a deployment as YAML, for `kubectl apply`."""
    import yaml

    return yaml.safe_dump_all(build_objects(compiled, namespace), sort_keys=False)


def build_schedule(compiled: CompiledTemplate, namespace: str) -> Object:
    """Return the CronWorkflow of a template, as Metaflow's `create` writes it."""
    return {
        "apiVersion": ARGO,
        "kind": CRON,
        "metadata": {"name": compiled.name, "namespace": namespace},
        "spec": {
            "suspend": compiled.paused,
            "schedules": [compiled.schedule],
            "timezone": compiled.timezone or "UTC",
            "startingDeadlineSeconds": 300,
            # Argo would delete all runs but the last three, and all failed ones but one.
            "successfulJobsHistoryLimit": KEPT_RUNS,
            "failedJobsHistoryLimit": KEPT_RUNS,
            "workflowSpec": {"workflowTemplateRef": {"name": compiled.name}},
        },
    }


def _deployed_meanwhile(name: str) -> DevstackError:
    return DevstackError(
        f"{name} was deployed by somebody else at the same time",
        cause="the template in the cluster changed between reading and writing it",
        remedy="deploy it again",
        code="DEPLOYED_MEANWHILE",
    )


def delete_template(stack: Stack, name: str, *, force: bool) -> None:
    """Delete a deployment: its schedule, its sensor, its runs with their pods, and its template.

    Args:
        stack: the stack.
        name: the deployment.
        force: delete active runs too; if False, they are an error.

    Raises:
        DevstackError: ``DEPLOYMENT_BUSY`` or ``WAIT_TIMEOUT``.
    """
    namespace, kube = stack.state.namespace, stack.kube()
    active = [run for run in runs_of(kube, namespace, name) if not run.finished]
    if active and not force:
        raise deployment_busy("argo", name, len(active))
    kube.delete(ARGO, CRON, name, namespace)
    # First what starts runs.
    delete_sensor(stack, name)
    runs = runs_of(kube, namespace, name)
    for run in runs:
        kube.delete(ARGO, "Workflow", run.run_id, namespace)
    kube.delete(ARGO, "WorkflowTemplate", name, namespace)
    wait_for_deletion(stack, name, [run.run_id for run in runs])


def wait_for_deletion(stack: Stack, name: str, workflows: Sequence[str]) -> None:
    """Wait until the deleted workflows of a deployment are gone, with their pods.

    Raises:
        DevstackError: ``WAIT_TIMEOUT``.
    """
    wait_until(
        lambda: _observe_deletion(stack.kube(), stack.state.namespace, workflows),
        what=f"the runs of {name} to be deleted",
        timeout=stack.spec.timeout,
        clock=stack.clock,
        interval=1.0,
    )


def _observe_deletion(kube: KubeClient, namespace: str, run_ids: Sequence[str]) -> Observation:
    for run_id in run_ids:
        if kube.find(ARGO, "Workflow", run_id, namespace):
            return Waiting(f"workflow {run_id} still exists")
        if pods := pods_of(kube, namespace, run_id):
            return Waiting(f"pod {pods[0]['metadata']['name']} is terminating")
    return Ready()
