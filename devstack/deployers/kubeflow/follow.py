"""Follow a run to its end, explain a failure, and read logs: by its workflow."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial

from devstack.deployers.argo import follow as argo_follow
from devstack.deployers.argo.follow import explain_failure, progress_of
from devstack.deployers.base import Note, RunResult, TaskLog
from devstack.deployers.following import (
    Seen,
    find_failed_pod,
    follow,
    stopped_error,
    wait_for_new_run,
)
from devstack.deployers.kubeflow.client import PipelinesClient, PipelinesUnavailableError
from devstack.deployers.kubeflow.lookup import read_run, runs_of
from devstack.deployers.kubeflow.runs import PipelineRun
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.api_errors import ApiError, UnreachableError
from devstack.kube.client import Object
from devstack.kube.resources import ARGO
from devstack.kube.workflows import PIPELINE_RUN_LABEL, parse_nodes, parse_workflow, pods_of
from devstack.stack import Stack

ENGINE = "kubeflow"
"""As in ``devstack ENGINE logs``."""

OUTAGES = (ApiError, UnreachableError, PipelinesUnavailableError)


def follow_run(
    stack: Stack,
    client: PipelinesClient,
    run: PipelineRun,
    note: Note,
    timeout: float | None = None,
) -> RunResult[PipelineRun]:
    """Wait until a run is finished.

    A run with a pod that cannot start is stopped; Argo would wait for the step's @timeout.

    Args:
        stack: the stack.
        client: the API.
        run: the run.
        note: shows the progress.
        timeout: maximum seconds to wait; unlimited if None.

    Raises:
        DevstackError: ``RUN_TIMEOUT``, ``RUN_UNKNOWN`` if it is deleted meanwhile, or the code of
            the reason why a pod cannot start.
    """
    observe = partial(_observe, stack, client, run)
    return follow(ENGINE, stack.clock, observe, note, timeout, outages=OUTAGES)


def _observe(stack: Stack, client: PipelinesClient, run: PipelineRun) -> Seen[PipelineRun]:
    """Return the run's state; stop it if one of its pods cannot start."""
    current = read_run(client, run.run_id)
    if current is None:
        raise _deleted(run)
    workflow = find_workflow(stack, run.run_id)
    nodes = parse_nodes(workflow) if workflow else []
    if workflow and not current.finished:
        pods = pods_of(stack.kube(), stack.state.namespace, workflow["metadata"]["name"])
        if failure := find_failed_pod(stack.kube(), pods):
            stop_run(client, current)
            raise stopped_error(ENGINE, current, failure)
    progress = "waiting for the workflow"
    if workflow:
        progress = progress_of(parse_workflow(workflow), nodes)
    return Seen(current, nodes, current.state == "succeeded", progress)


def find_workflow(stack: Stack, run_id: str) -> Object | None:
    """Return the workflow of a run; None if Argo has deleted it."""
    namespace = stack.state.namespace
    found = stack.kube().list_objects(
        ARGO, "Workflow", namespace, labels=f"{PIPELINE_RUN_LABEL}={run_id}"
    )
    return found[0] if found else None


def stop_run(client: PipelinesClient, run: PipelineRun) -> None:
    """Terminate a run: its pods are killed."""
    client.post(f"runs/{run.run_id}:terminate")


def wait_scheduled_run(
    stack: Stack, client: PipelinesClient, name: str, known: Collection[str], note: Note
) -> PipelineRun:
    """Wait until a schedule starts a run whose id is not in ``known``, and return it.

    Raises:
        DevstackError: ``WAIT_TIMEOUT``.
    """
    return wait_for_new_run(
        stack.clock,
        lambda: runs_of(client, name),
        known,
        note,
        outages=OUTAGES,
        what=f"the schedule of {name} to start a run",
        waiting="waiting for the schedule to start a run",
    )


def read_logs(
    stack: Stack, run: PipelineRun, task: str = "", attempt: int = 0
) -> Iterator[TaskLog]:
    """Yield the logs of a run's tasks; those whose pods are deleted have none.

    Args:
        stack: the stack.
        run: the run.
        task: a step, or ``STEP[INDEX]``; all tasks if empty.
        attempt: number of the attempt, from 1; the last one if 0.

    Raises:
        DevstackError: ``RUN_UNKNOWN`` if its workflow is deleted, or ``TASK_UNKNOWN``.
    """
    workflow = find_workflow(stack, run.run_id)
    if workflow is None:
        raise _deleted(run)
    yield from argo_follow.read_logs(stack, parse_workflow(workflow), task, attempt)


def failure_of(stack: Stack, result: RunResult[PipelineRun]) -> DevstackError:
    """Return the error for a run that did not succeed, with the end of the failed task's log."""
    return explain_failure(ENGINE, result, partial(read_logs, stack))


def _deleted(run: PipelineRun) -> DevstackError:
    return DevstackError(
        f"run {run.run_id} of {run.template} does not exist any more",
        cause="the run, or its workflow, was deleted; Argo keeps workflows for a week",
        remedy="devstack kubeflow runs",
        code="RUN_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )
