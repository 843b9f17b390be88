"""The archive: experiments and runs that users have put aside; they can be restored.

As ``ArchiveExperiment`` and ``UnarchiveRun`` of kubeflow/pipelines do it
(``backend/src/apiserver/resource/resource_manager.go``): an experiment takes its runs with it, and
its recurring runs are disabled; restoring the experiment restores neither.
"""

from __future__ import annotations

from collections.abc import Iterator

from database_service.errors import ServiceError
from database_service.json_bodies import JsonResponse, acquire_connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kubeflow_pipelines.records import API, find_row
from kubeflow_pipelines.recurring_runs import set_enabled
from kubeflow_pipelines.runs import current_run

_ARCHIVED, _AVAILABLE = "ARCHIVED", "AVAILABLE"
_STORE_EXPERIMENT = "UPDATE experiments SET storage_state = $2 WHERE id = $1"
_STORE_RUN = "UPDATE runs SET storage_state = $2 WHERE id = $1"
_STORE_RUNS = "UPDATE runs SET storage_state = $2 WHERE experiment_id = $1"
_ENABLED = "SELECT * FROM recurring_runs WHERE experiment_id = $1 AND enabled"


def archive_routes() -> Iterator[Route]:
    """Return the routes."""
    experiment, run = API + "/experiments/{experiment}", API + "/runs/{run}"
    yield Route(experiment + ":archive", archive_experiment, methods=["POST"])
    yield Route(experiment + ":unarchive", restore_experiment, methods=["POST"])
    yield Route(run + ":archive", archive_run, methods=["POST"])
    yield Route(run + ":unarchive", restore_run, methods=["POST"])


async def archive_experiment(request: Request) -> Response:
    """Archive an experiment with its runs; its recurring runs start no others."""
    experiment = request.path_params["experiment"]
    async with acquire_connection(request) as connection:
        await find_row(connection, "experiments", "experiment", experiment)
        for row in await connection.fetch(_ENABLED, experiment):
            await set_enabled(request, connection, row, enabled=False)
        async with connection.transaction():
            await connection.execute(_STORE_EXPERIMENT, experiment, _ARCHIVED)
            await connection.execute(_STORE_RUNS, experiment, _ARCHIVED)
    return JsonResponse({})


async def restore_experiment(request: Request) -> Response:
    """Restore an experiment, without its runs."""
    experiment = request.path_params["experiment"]
    async with acquire_connection(request) as connection:
        await find_row(connection, "experiments", "experiment", experiment)
        await connection.execute(_STORE_EXPERIMENT, experiment, _AVAILABLE)
    return JsonResponse({})


async def archive_run(request: Request) -> Response:
    """Archive a run; it goes on if it is active."""
    row = await current_run(request)
    async with acquire_connection(request) as connection:
        await connection.execute(_STORE_RUN, row["id"], _ARCHIVED)
    return JsonResponse({})


async def restore_run(request: Request) -> Response:
    """Restore a run."""
    row = await current_run(request)
    async with acquire_connection(request) as connection:
        owner = await find_row(connection, "experiments", "experiment", row["experiment_id"])
        if owner["storage_state"] == _ARCHIVED:
            raise ServiceError(400, "its experiment is archived: unarchive that first")
        await connection.execute(_STORE_RUN, row["id"], _AVAILABLE)
    return JsonResponse({})
