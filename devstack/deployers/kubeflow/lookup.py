"""Find deployments and runs by the names that users type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from devstack.deployers.errors import deployment_error
from devstack.deployers.kubeflow.client import PipelinesClient, PipelinesError
from devstack.deployers.kubeflow.runs import (
    METAFLOW_PREFIX,
    PipelineRun,
    flow_of,
    parameter_kinds,
    parse_run,
)
from devstack.deployers.names import suggestion
from devstack.errors import DevstackError, ExitStatus


@dataclass(frozen=True)
class FoundPipeline:
    """A deployed flow.

    Attributes:
        pipeline_id: the pipeline's id.
        name: its name.
        version_id: the id of its latest version.
        spec: what that version runs.
    """

    pipeline_id: str
    name: str
    version_id: str
    spec: dict[str, Any]

    @property
    def flow(self) -> str:
        """The flow's class; empty if Metaflow has not made it."""
        return flow_of(self.spec)

    @property
    def parameters(self) -> dict[str, str]:
        """The types of its parameters by name."""
        return parameter_kinds(self.spec)


def schedule_name(pipeline: str) -> str:
    """Return the name of a pipeline's recurring run, as metaflow-kubeflow gives it."""
    return f"{pipeline} (schedule)"


def deployed_flows(client: PipelinesClient) -> Iterator[FoundPipeline]:
    """Yield the deployed flows, by name; pipelines that Metaflow has not made are left out."""
    for record in client.list("pipelines", "pipelines", sort_by="display_name"):
        found = _with_version(client, record)
        if found and found.flow:
            yield found


def _with_version(client: PipelinesClient, record: dict[str, Any]) -> FoundPipeline | None:
    path = f"pipelines/{record['pipeline_id']}/versions"
    page = client.get(path, page_size=1, sort_by="created_at desc")
    for version in page.get("pipeline_versions") or ():
        return FoundPipeline(
            record["pipeline_id"],
            record["display_name"],
            version["pipeline_version_id"],
            version["pipeline_spec"],
        )
    return None


def find_pipeline(client: PipelinesClient, name: str) -> FoundPipeline:
    """Return a deployment by its name, or by the flow's if unique.

    Raises:
        DevstackError: ``DEPLOYMENT_UNKNOWN``, or ``DEPLOYMENT_AMBIGUOUS`` with the candidates.
    """
    for record in client.list("pipelines", "pipelines", {"display_name": name}):
        if found := _with_version(client, record):
            return found
    flows = list(deployed_flows(client))
    matches = [each for each in flows if each.flow == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(each.name for each in matches)
        raise deployment_error(f"several deployments of {name}", names, "use its name", "AMBIGUOUS")
    known = [each.name for each in flows]
    meant = suggestion(name, [*known, *(each.flow for each in flows)])
    raise deployment_error(
        f"Kubeflow Pipelines has no deployment {name!r}",
        f"it has {', '.join(known)}" if known else "it has none",
        f"{meant}`devstack kubeflow deploy FLOW.py` deploys a flow",
        "UNKNOWN",
    )


def runs_of(client: PipelinesClient, name: str = "", limit: int = 1000) -> list[PipelineRun]:
    """Return the latest runs of a deployment, or of all; the latest first."""
    pipelines = _pipelines(client)
    conditions = {}
    if name:
        ids = [each for each, known in pipelines.items() if known == name]
        if not ids:
            return []
        conditions = {"pipeline_id": ids[0]}
    found: list[PipelineRun] = []
    for record in client.list("runs", "runs", conditions):
        run = parse_run(record, pipelines)
        if run.template:
            found.append(run)
        if len(found) == limit:
            break
    return found


def find_run(client: PipelinesClient, name: str) -> PipelineRun:
    """Return a run.

    Args:
        client: the API.
        name: the API's id, or Metaflow's (``kfp-ID``), optionally after ``FLOW/``; or a
            deployment or a flow, for its latest run.

    Raises:
        DevstackError: ``RUN_UNKNOWN``.
    """
    run_id = name.rpartition("/")[2].removeprefix(METAFLOW_PREFIX)
    if found := read_run(client, run_id):
        return found
    names = {name, *(each.name for each in deployed_flows(client) if each.flow == name)}
    for run in runs_of(client):
        if run.template in names:
            return run
    raise DevstackError(
        f"Kubeflow Pipelines has no run {name!r}",
        cause="it is not the name of a deployment, the id of a run or of a Metaflow run",
        remedy="devstack kubeflow runs",
        code="RUN_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )


def read_run(client: PipelinesClient, run_id: str) -> PipelineRun | None:
    """Return a run by its id; None if there is none."""
    if "/" in run_id or not run_id:
        return None
    try:
        record = client.get(f"runs/{run_id}")
    except PipelinesError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return parse_run(record, _pipelines(client))


def schedules_of(client: PipelinesClient, name: str) -> list[str]:
    """Return the ids of the recurring runs that are the schedule of a deployment."""
    conditions = {"display_name": schedule_name(name)}
    found = client.list("recurringruns", "recurringRuns", conditions)
    return [str(each["recurring_run_id"]) for each in found]


def _pipelines(client: PipelinesClient) -> dict[str, str]:
    """Return the names of all pipelines by id."""
    records = client.list("pipelines", "pipelines")
    return {each["pipeline_id"]: each["display_name"] for each in records}
