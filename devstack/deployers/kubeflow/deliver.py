"""Hand a compiled flow to the pipelines API, and take it back.

As metaflow-kubeflow does it (``KubeflowPipelines.upload``, ``schedule`` and ``delete``), so that
its commands and these see the same deployments.
"""

from __future__ import annotations

from datetime import datetime, timezone
from http import HTTPStatus

from devstack.deployers.argo.deliver import wait_for_deletion
from devstack.deployers.base import Deployment, Note
from devstack.deployers.errors import deployment_busy
from devstack.deployers.kubeflow.client import PipelinesClient, PipelinesError
from devstack.deployers.kubeflow.compile import CompiledPipeline
from devstack.deployers.kubeflow.lookup import (
    find_pipeline,
    runs_of,
    schedule_name,
    schedules_of,
)
from devstack.errors import DevstackError
from devstack.kube.resources import ARGO
from devstack.kube.workflows import PIPELINE_RUN_LABEL
from devstack.stack import Stack


def deliver_pipeline(
    stack: Stack, client: PipelinesClient, compiled: CompiledPipeline, url: str, note: Note
) -> Deployment:
    """Upload a version of the pipeline, and replace its schedule; there is nothing to wait for.

    Args:
        stack: the stack.
        client: the API.
        compiled: the compiled flow.
        url: its page.
        note: shows the progress.

    Raises:
        DevstackError: ``DEPLOYED_MEANWHILE``, or ``KUBEFLOW_REFUSED``.
    """
    began = stack.clock.now()
    note("the pipeline is uploaded")
    try:
        pipeline_id = _ensure_pipeline(client, compiled)
        version = client.upload(
            "pipelines/upload_version",
            compiled.pipeline,
            {"name": _version_name(), "pipelineid": pipeline_id},
        )
    except PipelinesError as error:
        if error.status in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
            raise _deployed_meanwhile(compiled.name) from error
        raise
    _replace_schedule(client, compiled, pipeline_id, version["pipeline_version_id"])
    return Deployment(
        name=compiled.name,
        flow=compiled.flow,
        schedule=compiled.schedule,
        paused=compiled.paused,
        url=url,
        deliver_seconds=stack.clock.now() - began,
        details={
            "pipeline": compiled.name,
            "pipeline_id": pipeline_id,
            "version": version["display_name"],
        },
    )


def _ensure_pipeline(client: PipelinesClient, compiled: CompiledPipeline) -> str:
    for record in client.list("pipelines", "pipelines", {"display_name": compiled.name}):
        return str(record["pipeline_id"])
    made = client.upload("pipelines/upload", compiled.pipeline, {"name": compiled.name})
    pipeline_id = str(made["pipeline_id"])
    # An upload makes a version with the pipeline's name.
    path = f"pipelines/{pipeline_id}/versions"
    for first in list(client.list(path, "pipeline_versions")):
        client.delete(f"{path}/{first['pipeline_version_id']}")
    return pipeline_id


def _version_name() -> str:
    return datetime.now(timezone.utc).strftime("%Y%m%d%H%M%S%f")


def _replace_schedule(
    client: PipelinesClient, compiled: CompiledPipeline, pipeline_id: str, version_id: str
) -> None:
    former = schedules_of(client, compiled.name)
    if compiled.schedule:
        client.post(
            "recurringruns",
            {
                "display_name": schedule_name(compiled.name),
                "pipeline_version_reference": {
                    "pipeline_id": pipeline_id,
                    "pipeline_version_id": version_id,
                },
                "trigger": {"cron_schedule": {"cron": compiled.schedule}},
                "mode": "DISABLE" if compiled.paused else "ENABLE",
                "max_concurrency": "1",
                "no_catchup": True,
            },
        )
    # Afterwards: if the new one is refused, the deployment keeps the one that it had.
    for each in former:
        client.delete(f"recurringruns/{each}")


def delete_pipeline(stack: Stack, client: PipelinesClient, name: str, *, force: bool) -> None:
    """Delete a deployment: its schedule, its runs with their pods, and its versions.

    Args:
        stack: the stack.
        client: the API.
        name: the deployment.
        force: delete active runs too; if False, they are an error.

    Raises:
        DevstackError: ``DEPLOYMENT_BUSY`` or ``WAIT_TIMEOUT``.
    """
    pipeline = find_pipeline(client, name)
    active = [run for run in runs_of(client, name) if not run.finished]
    if active and not force:
        raise deployment_busy("kubeflow", name, len(active))
    for schedule in schedules_of(client, name):
        client.delete(f"recurringruns/{schedule}")
    found = stack.kube().list_objects(
        ARGO, "Workflow", stack.state.namespace, labels=PIPELINE_RUN_LABEL
    )
    names = {
        each["metadata"]["labels"][PIPELINE_RUN_LABEL]: str(each["metadata"]["name"])
        for each in found
    }
    deleted: list[str] = []
    # Again and again, because a list that becomes shorter has no next page.
    while runs := runs_of(client, name, limit=200):
        for run in runs:
            client.delete(f"runs/{run.run_id}")
            deleted += [names[run.run_id]] if run.run_id in names else []
    client.delete(f"pipelines/{pipeline.pipeline_id}", cascade="true")
    wait_for_deletion(stack, name, deleted)


def _deployed_meanwhile(name: str) -> DevstackError:
    return DevstackError(
        f"{name} was deployed or deleted by somebody else at the same time",
        cause="its pipeline changed between reading and writing it",
        remedy="deploy it again",
        code="DEPLOYED_MEANWHILE",
    )
