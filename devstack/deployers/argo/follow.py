"""Follow a workflow to its end, explain a failure, and read logs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol, TypeVar

from devstack.deployers.argo.lookup import find_tasks, runs_of
from devstack.deployers.base import Note, Run, RunResult, TaskLog
from devstack.deployers.following import (
    LOG_LINES,
    Seen,
    find_failed_pod,
    follow,
    stopped_error,
    wait_for_new_run,
)
from devstack.deployers.names import shown
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.api_errors import ApiError, NotFoundError, UnreachableError
from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import ARGO
from devstack.kube.workflows import (
    NODE_ANNOTATION,
    Node,
    Workflow,
    parse_nodes,
    parse_workflow,
    pods_of,
)
from devstack.stack import Stack

ENGINE = "argo"
"""As in ``devstack ENGINE logs``."""


class FailedRun(Run, Protocol):
    """A run whose engine says why it failed."""

    @property
    def message(self) -> str:
        """The reason; empty if there is none."""
        ...


FailedT = TypeVar("FailedT", bound=FailedRun)

HEARTBEAT = "heartbeat-daemon"
"""Metaflow's template for the pod that reports that a run is alive."""

WHOLE_LOG = 100_000
"""Maximum number of a log's lines that are read."""


def follow_run(
    stack: Stack, run: Workflow, note: Note, timeout: float | None = None
) -> RunResult[Workflow]:
    """Wait until a run is finished.

    A run with a pod that cannot start is stopped; Argo would wait for the step's @timeout.

    Args:
        stack: the stack.
        run: the run.
        note: shows the progress.
        timeout: maximum seconds to wait; unlimited if None.

    Raises:
        DevstackError: ``RUN_TIMEOUT``, or the code of the reason why a pod cannot start.
    """
    observe = partial(_observe, stack, run)
    outages = (ApiError, UnreachableError)
    return follow(
        ENGINE, stack.clock, observe, note, timeout, outages=outages, final=(NotFoundError,)
    )


def _observe(stack: Stack, run: Workflow) -> Seen[Workflow]:
    """Return the run's state; stop it if one of its pods cannot start."""
    namespace = stack.state.namespace
    item = stack.kube().get(ARGO, "Workflow", run.run_id, namespace)
    current, nodes = parse_workflow(item), parse_nodes(item)
    if not current.finished:
        pods = pods_of(stack.kube(), namespace, run.run_id)
        if failure := find_failed_pod(stack.kube(), pods):
            stop_run(stack, current)
            raise stopped_error(ENGINE, current, failure)
    return Seen(current, nodes, current.state == "succeeded", progress_of(current, nodes))


def stop_run(stack: Stack, run: Workflow) -> None:
    """Terminate a run, as Metaflow does: its pods are killed, no exit hook runs."""
    change_run(stack, run, {"shutdown": "Terminate"})


def change_run(stack: Stack, run: Workflow, spec: Object) -> None:
    """Change single fields of a workflow's specification."""
    changes = {"spec": spec}
    stack.kube().patch(ARGO, "Workflow", run.run_id, changes, stack.state.namespace)


def wait_new_run(
    stack: Stack, name: str, known: Collection[str], note: Note, kind: str
) -> Workflow:
    """Wait until a schedule or an event starts a run whose id is not in ``known``, and return it.

    Args:
        stack: the stack.
        name: the deployment.
        known: names of earlier workflows.
        note: shows the progress.
        kind: ``scheduled`` or ``event``.

    Raises:
        DevstackError: ``WAIT_TIMEOUT``.
    """
    cause = {"scheduled": "the schedule", "event": "an event"}[kind]
    return wait_for_new_run(
        stack.clock,
        lambda: runs_of(stack.kube(), stack.state.namespace, name),
        known,
        note,
        outages=(ApiError, UnreachableError),
        kind=kind,
        what=f"{cause} to start a run of {name}",
        waiting=f"waiting for {cause} to start a run",
    )


def progress_of(run: Workflow, nodes: Sequence[Node]) -> str:
    """Return the current activity of a run in one line."""
    if run.suspended:
        return "the run is suspended"
    for state in ("running", "pending"):
        if active := [node.name for node in nodes if node.state == state]:
            return f"{state}: {shown(active)}"
    return "the controller is between steps"


def read_logs(stack: Stack, run: Workflow, task: str = "", attempt: int = 0) -> Iterator[TaskLog]:
    """Yield the logs of a run's tasks; those whose pods are deleted have none.

    Args:
        stack: the stack.
        run: the run.
        task: a step, or ``STEP[INDEX]``; all tasks if empty.
        attempt: number of the attempt, from 1; the last one if 0.
    """
    item = stack.kube().get(ARGO, "Workflow", run.run_id, stack.state.namespace)
    nodes = find_tasks(parse_nodes(item), task)
    last = {node.name: node.attempt for node in sorted(nodes, key=lambda each: each.attempt)}
    pods = {
        pod["metadata"].get("annotations", {}).get(NODE_ANNOTATION): pod
        for pod in pods_of(stack.kube(), stack.state.namespace, run.run_id)
    }
    for node in nodes:
        if node.attempt == (attempt or last[node.name]) and node.node_id in pods:
            text = _log(stack.kube(), pods[node.node_id], WHOLE_LOG)
            yield TaskLog(node, text, text.splitlines())


def _log(kube: KubeClient, pod: Object, lines: int) -> str:
    metadata = pod["metadata"]
    try:
        return kube.logs(metadata["name"], metadata["namespace"], container="main", tail=lines)
    except ApiError as error:
        return f"devstack: no log: {error}"


def failure_of(stack: Stack, result: RunResult[Workflow]) -> DevstackError:
    """Return the error for a run that did not succeed, with the end of the failed task's log."""
    return explain_failure(ENGINE, result, partial(read_logs, stack))


def explain_failure(
    engine: str, result: RunResult[FailedT], read: Callable[[FailedT, str], Iterable[TaskLog]]
) -> DevstackError:
    """Return the error for a run of workflows that did not succeed.

    Args:
        engine: the engine, as in ``devstack ENGINE logs``.
        result: the run, and the nodes of its workflow.
        read: returns the logs of one of a run's tasks.
    """
    run = result.run
    node = first_failure([each for each in result.tasks if isinstance(each, Node)])
    if node is None:
        return _failed_error(engine, run, run.message or f"it ended as {run.state}", "", "")
    logs = [log for log in read(run, node.name) if log.lines]
    attempts = f" after {node.attempt} attempts" if node.attempt > 1 else ""
    reason = f": {node.message}" if node.message else ""
    output = "\n".join(logs[-1].lines[-LOG_LINES:]) if logs else ""
    cause = f"task {node.name} failed{attempts}{reason}"
    return _failed_error(engine, run, cause, node.name, output)


def first_failure(nodes: Sequence[Node]) -> Node | None:
    """Return the task that failed first at its last attempt; hooks of the run fail after it."""
    last = {node.name: node for node in sorted(nodes, key=lambda each: each.attempt)}
    failed = [node for node in last.values() if node.state in ("failed", "error")]
    # Metaflow's heartbeat does not end a run.
    steps = [node for node in failed if node.step != HEARTBEAT]
    return min(steps or failed, key=lambda each: each.ended or float("inf"), default=None)


def _failed_error(engine: str, run: FailedRun, cause: str, task: str, output: str) -> DevstackError:
    return DevstackError(
        f"run {run.run_id} of {run.name} failed",
        cause=cause,
        remedy=f"devstack {engine} logs {run.metaflow_id} {task}".rstrip(),
        code="RUN_FAILED",
        exit_status=ExitStatus.FLOW_FAILED,
        output=output,
    )
