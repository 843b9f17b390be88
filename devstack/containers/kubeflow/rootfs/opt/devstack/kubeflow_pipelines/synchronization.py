"""The database's runs as the cluster has them: new runs of schedules, and states."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from kubeflow_pipelines.kubernetes import Kubernetes
from kubeflow_pipelines.records import Row
from kubeflow_pipelines.run_states import (
    FAILED,
    FINAL,
    PENDING,
    RECURRING_RUN_ID,
    RUN_ID,
    SCHEDULED_TIME,
    RunState,
    final_state,
    parse_time,
    phase_of,
    state_of,
)
from kubeflow_pipelines.translation.workflows import NAME_ANNOTATION

_ACTIVE = "SELECT * FROM runs WHERE finished_at IS NULL"
_UPDATE = "UPDATE runs SET state = $2, finished_at = $3, error = $4 WHERE id = $1"
_ADOPT = """
    INSERT INTO runs (id, display_name, experiment_id, pipeline_id, pipeline_version_id,
        recurring_run_id, spec, parameters, state, object_name, created_at, scheduled_at)
    SELECT $2, $3, experiment_id, pipeline_id, pipeline_version_id, id, spec, parameters, $4, $5,
        $6, $7
    FROM recurring_runs WHERE id = $1
    ON CONFLICT DO NOTHING"""
_GRACE = timedelta(seconds=60)
"""The time that a new run may have a record, but no workflow yet."""

_LOST = "the workflow was deleted before it ended"


async def synchronize(connection: Any, kubernetes: Kubernetes) -> None:
    """Update the runs that have not ended, and add those that schedules have started.

    Raises:
        ServiceError: 503 if the Kubernetes API does not answer.
    """
    items = await kubernetes.list_metadata("Workflow", RUN_ID)
    metadata = {each["metadata"]["name"]: each["metadata"] for each in items}
    for each in metadata.values():
        if recurring_run_id := (each.get("labels") or {}).get(RECURRING_RUN_ID):
            await _adopt(connection, recurring_run_id, each)
    for row in await connection.fetch(_ACTIVE):
        await _update(connection, kubernetes, row, metadata.get(row["object_name"]))


async def refresh(connection: Any, kubernetes: Kubernetes, row: Row) -> None:
    """Update one run that has not ended."""
    found = await kubernetes.metadata("Workflow", row["object_name"])
    await _update(connection, kubernetes, row, found and found["metadata"])


async def _adopt(connection: Any, recurring_run_id: str, metadata: Mapping[str, Any]) -> None:
    """Add the run of a schedule, unless it is known, or its recurring run is not."""
    annotations = metadata.get("annotations") or {}
    created = parse_time(metadata.get("creationTimestamp"))
    await connection.execute(
        _ADOPT,
        recurring_run_id,
        metadata["labels"][RUN_ID],
        f"{annotations.get(NAME_ANNOTATION, '')} {metadata['name']}".strip(),
        PENDING,
        metadata["name"],
        created,
        parse_time(annotations.get(SCHEDULED_TIME)) or created,
    )


async def _update(
    connection: Any, kubernetes: Kubernetes, row: Row, metadata: Mapping[str, Any] | None
) -> None:
    found = await _observe(kubernetes, row, metadata)
    if found is not None and found.state != row["state"]:
        await connection.execute(_UPDATE, row["id"], found.state, found.finished_at, found.error)


async def _observe(
    kubernetes: Kubernetes, row: Row, metadata: Mapping[str, Any] | None
) -> RunState | None:
    """Return a run's state; None if it is not known yet."""
    now = datetime.now(timezone.utc)
    if metadata is None:
        is_new = now - row["created_at"] < _GRACE
        return None if is_new else RunState(FAILED, now, _LOST)
    state = state_of(phase_of(metadata), stopped=row["state"] == "CANCELING")
    if state not in FINAL:
        return RunState(state)
    workflow = await kubernetes.find("Workflow", row["object_name"])
    ended = final_state(workflow) if workflow else RunState(state, now)
    return RunState(ended.state, ended.finished_at or now, ended.error)
