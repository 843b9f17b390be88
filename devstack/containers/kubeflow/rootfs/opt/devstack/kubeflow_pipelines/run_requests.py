"""What a run, or a recurring run, is asked to run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from database_service.errors import ServiceError

from kubeflow_pipelines.experiments import experiment_of
from kubeflow_pipelines.pipelines import find_version
from kubeflow_pipelines.records import Message, new_id, pipeline_of, refused
from kubeflow_pipelines.translation.unsupported import UnsupportedError
from kubeflow_pipelines.translation.workflows import RunRequest, Target, check_pipeline


@dataclass(frozen=True)
class Asked:
    """A run to start, with what its record needs besides.

    Attributes:
        run: the run.
        experiment_id: its experiment.
        version_id: the pipeline's version; empty if the request brought a pipeline.
        spec: the API's ``pipeline_spec``, in JSON.
        target: where it runs.
        description: the user's words.
    """

    run: RunRequest
    experiment_id: str
    version_id: str
    spec: str
    target: Target
    description: str


async def read_request(connection: Any, body: Message, target: Target) -> Asked:
    """Return what a request asks for.

    Args:
        connection: to the database.
        body: a message ``Run`` or ``RecurringRun``.
        target: where runs of this service run.

    Raises:
        ServiceError: 400 or 404: it names what is missing or not supported.
    """
    name = body.get("display_name")
    if not isinstance(name, str) or not name:
        raise ServiceError(400, "a run needs a display_name")
    wanted = body.get("pipeline_version_reference") or {}
    pipeline_id, version_id = str(wanted.get("pipeline_id") or ""), ""
    if pipeline_id:
        version = str(wanted.get("pipeline_version_id") or "")
        row = await find_version(connection, pipeline_id, version)
        version_id, spec = str(row["id"]), json.loads(row["spec"])
    else:
        spec = body.get("pipeline_spec")
        if not isinstance(spec, dict):
            raise ServiceError(400, "a run needs a pipeline_version_reference, or a pipeline_spec")
    config = body.get("runtime_config") or {}
    account = str(body.get("service_account") or target.account)
    try:
        pipeline = pipeline_of(spec)
        if not pipeline_id:
            check_pipeline(pipeline)
    except UnsupportedError as error:
        raise refused(error) from error
    return Asked(
        RunRequest(new_id(), name, pipeline, pipeline_id, config.get("parameters") or {}),
        await experiment_of(connection, body.get("experiment_id")),
        version_id,
        json.dumps(spec),
        Target(target.namespace, account),
        str(body.get("description") or ""),
    )
