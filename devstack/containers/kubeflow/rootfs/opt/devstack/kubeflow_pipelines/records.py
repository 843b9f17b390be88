"""Records of the database as messages of the API, and what all requests need."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

from database_service.errors import ServiceError
from starlette.requests import Request

from kubeflow_pipelines.kubernetes import Kubernetes
from kubeflow_pipelines.settings import Settings
from kubeflow_pipelines.translation.pipeline import Pipeline, read_pipeline
from kubeflow_pipelines.translation.unsupported import UnsupportedError

Row = Any
"""A row of the database."""

Message = dict[str, Any]
"""A message of the API, in JSON."""

API = "/apis/v2beta1"


def kubernetes_of(request: Request) -> Kubernetes:
    """Return the client of the Kubernetes API."""
    found: Kubernetes = request.app.state.kubernetes
    return found


def settings_of(request: Request) -> Settings:
    """Return the settings of the service."""
    found: Settings = request.app.state.settings
    return found


def new_id() -> str:
    """Return a new id."""
    return str(uuid4())


def timestamp(moment: datetime | None) -> str | None:
    """Return a moment as the API writes it; None for none."""
    if moment is None:
        return None
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def without_none(message: Message) -> Message:
    """Return a message without the fields that have no value."""
    return {name: value for name, value in message.items() if value is not None}


def spec_of(pipeline: Pipeline) -> Message:
    """Return a pipeline as the API's ``pipeline_spec``: with its platform, if it names one."""
    if not pipeline.platform:
        return dict(pipeline.spec)
    return {"pipeline_spec": dict(pipeline.spec), "platform_spec": dict(pipeline.platform)}


def pipeline_of(spec: Message) -> Pipeline:
    """Return the pipeline of an API's ``pipeline_spec``.

    Raises:
        UnsupportedError: it is no pipeline of a supported version.
    """
    if "pipeline_spec" not in spec:
        return read_pipeline([spec])
    platform = spec.get("platform_spec")
    return read_pipeline([spec["pipeline_spec"], *([platform] if platform else [])])


def refused(error: UnsupportedError) -> ServiceError:
    """Return the error of the API for what this service does not support, or what is wrong."""
    return ServiceError(400, f"devstack's pipelines API refuses this: {error}")


def run_fields(row: Row) -> Message:
    """Return what the messages of runs and of recurring runs have in common."""
    # A run refers to the version of a pipeline, or brought its own pipeline.
    uploaded, version = row["pipeline_id"], row["pipeline_version_id"]
    reference = {"pipeline_id": uploaded, "pipeline_version_id": version} if uploaded else None
    return {
        "display_name": row["display_name"],
        "description": row["description"],
        "experiment_id": row["experiment_id"],
        "pipeline_version_reference": reference,
        "pipeline_spec": None if uploaded else json.loads(row["spec"]),
        "runtime_config": {"parameters": json.loads(row["parameters"])},
        "created_at": timestamp(row["created_at"]),
    }


async def find_row(connection: Any, table: str, what: str, record_id: str) -> Row:
    """Return a row.

    Raises:
        ServiceError: 404 if there is none.
    """
    row = await connection.fetchrow(f"SELECT * FROM {table} WHERE id = $1", record_id)  # noqa: S608
    if row is None:
        raise ServiceError(404, f"there is no {what} {record_id}")
    return row
