"""Follow a workflow to its end, explain a failure, and read logs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from devstack.deployers.argo.lookup import find_tasks, runs_of
from devstack.deployers.base import Note, RunResult, TaskLog
from devstack.deployers.names import shown
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.api_errors import ApiError, NotFoundError, UnreachableError
from devstack.kube.client import KubeClient, Object
from devstack.kube.offers import measure_offers
from devstack.kube.pods import observe_pod
from devstack.kube.resources import ARGO
from devstack.kube.volumes import first_missing_claim
from devstack.kube.workflows import (
    NODE_ANNOTATION,
    Node,
    Workflow,
    parse_nodes,
    parse_workflow,
    pods_of,
)
from devstack.stack import Stack
from devstack.waits import Failed, Observation, Ready, Waiting, wait_until

POLL_INTERVAL = 1.0
OUTAGE_TIMEOUT = 120.0
"""Seconds for which the Kubernetes API may be unavailable."""

SCHEDULE_TIMEOUT = 300.0
"""Seconds within which Argo starts a workflow that is scheduled every minute."""

HEARTBEAT = "heartbeat-daemon"
"""Metaflow's template for the pod that reports that a run is alive."""

LOG_LINES = 12
"""Number of log lines that an error quotes."""

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
    clock = stack.clock
    began = last_answer = clock.now()
    while True:
        try:
            current, nodes = _observe(stack, run)
            last_answer = clock.now()
        except (ApiError, UnreachableError) as error:
            if isinstance(error, NotFoundError) or clock.now() - last_answer > OUTAGE_TIMEOUT:
                raise
            note(str(error))
            clock.sleep(POLL_INTERVAL)
            continue
        if current.finished:
            return RunResult(current, nodes, ok=current.state == "succeeded")
        note(progress_of(current, nodes))
        if timeout is not None and clock.now() - began > timeout:
            raise _timeout_error(current, nodes, timeout)
        clock.sleep(POLL_INTERVAL)


def _observe(stack: Stack, run: Workflow) -> tuple[Workflow, Sequence[Node]]:
    """Return the run's state and tasks; stop it if one of its pods cannot start."""
    item = stack.kube().get(ARGO, "Workflow", run.run_id, stack.state.namespace)
    current = parse_workflow(item)
    if not current.finished and (failure := find_failed_pod(stack, current)):
        stop_run(stack, current)
        raise _stopped_error(current, failure)
    return current, parse_nodes(item)


def stop_run(stack: Stack, run: Workflow) -> None:
    """Terminate a run, as Metaflow does: its pods are killed, no exit hook runs."""
    change_run(stack, run, {"shutdown": "Terminate"})


def change_run(stack: Stack, run: Workflow, spec: Object) -> None:
    """Change single fields of a workflow's specification."""
    changes = {"spec": spec}
    stack.kube().patch(ARGO, "Workflow", run.run_id, changes, stack.state.namespace)


def find_failed_pod(stack: Stack, run: Workflow) -> Failed | None:
    """Return why a pod of the run cannot start, or None if all can."""
    kube = stack.kube()
    pods = pods_of(kube, stack.state.namespace, run.run_id)
    pending = [pod for pod in pods if pod.get("status", {}).get("phase") == "Pending"]
    unplaced = [pod for pod in pending if not pod["spec"].get("nodeName")]
    if missing := first_missing_claim(kube, unplaced):
        return missing
    # Once for all pods: it lists all nodes and pods of the cluster.
    offers = measure_offers(kube) if unplaced else None
    for pod in pending:
        observation = observe_pod(kube, pod, offers)
        if isinstance(observation, Failed):
            return observation
    return None


def wait_scheduled_run(stack: Stack, name: str, known: Collection[str], note: Note) -> Workflow:
    """Wait until a schedule starts a run whose id is not in ``known``, and return it.

    Raises:
        DevstackError: ``WAIT_TIMEOUT``.
    """
    started: list[Workflow] = []

    def observe() -> Observation:
        runs = runs_of(stack.kube(), stack.state.namespace, name)
        started[:] = [run for run in runs if run.kind == "scheduled" and run.run_id not in known]
        return Ready() if started else Waiting("waiting for the schedule to start a run")

    wait_until(
        observe,
        what=f"the schedule of {name} to start a run",
        timeout=SCHEDULE_TIMEOUT,
        clock=stack.clock,
        interval=POLL_INTERVAL,
        note=note,
    )
    return started[-1]


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
    run = result.run
    node = first_failure([each for each in result.tasks if isinstance(each, Node)])
    if node is None:
        return _failed_error(run, run.message or f"it ended as {run.state}", "", "")
    logs = [log for log in read_logs(stack, run, node.name) if log.lines]
    attempts = f" after {node.attempt} attempts" if node.attempt > 1 else ""
    reason = f": {node.message}" if node.message else ""
    output = "\n".join(logs[-1].lines[-LOG_LINES:]) if logs else ""
    return _failed_error(run, f"task {node.name} failed{attempts}{reason}", node.name, output)


def first_failure(nodes: Sequence[Node]) -> Node | None:
    """Return the task that failed first at its last attempt; hooks of the run fail after it."""
    last = {node.name: node for node in sorted(nodes, key=lambda each: each.attempt)}
    failed = [node for node in last.values() if node.state in ("failed", "error")]
    # Metaflow's heartbeat does not end a run.
    steps = [node for node in failed if node.step != HEARTBEAT]
    return min(steps or failed, key=lambda each: each.ended or float("inf"), default=None)


def _failed_error(run: Workflow, cause: str, task: str, output: str) -> DevstackError:
    return DevstackError(
        f"run {run.run_id} of {run.template} failed",
        cause=cause,
        remedy=f"devstack argo logs {run.metaflow_id} {task}".rstrip(),
        code="RUN_FAILED",
        exit_status=ExitStatus.FLOW_FAILED,
        output=output,
    )


def _stopped_error(run: Workflow, failure: Failed) -> DevstackError:
    return DevstackError(
        f"run {run.run_id} of {run.template} was stopped",
        cause=failure.reason,
        remedy=failure.remedy or f"devstack argo logs {run.metaflow_id}",
        code=failure.code,
        exit_status=ExitStatus.FLOW_FAILED,
        output=failure.output,
    )


def _timeout_error(run: Workflow, nodes: Sequence[Node], timeout: float) -> DevstackError:
    return DevstackError(
        f"run {run.run_id} of {run.template} did not end within {timeout:.0f} s",
        cause=progress_of(run, nodes),
        remedy=f"it continues; see devstack argo logs {run.metaflow_id}",
        code="RUN_TIMEOUT",
        exit_status=ExitStatus.TIMEOUT,
    )
