"""Why a workflow, or a task of it, does not run or has failed: `devstack why RUN`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from devstack.deployers.argo.follow import failure_of, progress_of
from devstack.deployers.argo.lookup import find_run, find_tasks, runs_of
from devstack.deployers.base import RunResult
from devstack.deployers.names import shown
from devstack.errors import DevstackError
from devstack.kube.client import Object
from devstack.kube.readiness import unavailable_reason
from devstack.kube.resources import ARGO, JOBSET
from devstack.kube.workflows import (
    NODE_ANNOTATION,
    Node,
    Workflow,
    parse_nodes,
    parse_workflow,
    pods_of,
)
from devstack.services import argo
from devstack.stack import Stack
from devstack.why.answer import Answer
from devstack.why.explain import explain
from devstack.why.subject import find_subject

_CONTROLLER = "argo-controller"


@dataclass(frozen=True)
class Terms:
    """What the engine of a workflow calls it, and offers for it.

    Attributes:
        subject: the run, for an answer.
        resume: how to resume it if it is suspended.
        failure: returns the error of the run, if it has failed.
    """

    subject: str
    resume: str
    failure: Callable[[RunResult[Workflow]], DevstackError]


@dataclass(frozen=True)
class _Case:
    """A run that is explained.

    Attributes:
        stack: the stack.
        item: the workflow.
        run: the same, parsed.
        nodes: its tasks, or those that the user named.
        terms: the words of its engine.
    """

    stack: Stack
    item: Object
    run: Workflow
    nodes: Sequence[Node]
    terms: Terms

    @property
    def status(self) -> Object:
        """The workflow's status; empty before the controller has seen it."""
        found: Object = self.item.get("status") or {}
        return found

    def answer(self, state: str, because: str, remedy: str = "") -> Answer:
        """Return an answer about the run."""
        return Answer(self.terms.subject, state, because, remedy)


def explain_run(stack: Stack, name: str) -> Answer:
    """Return why a workflow does not run, or that it does.

    Args:
        stack: the stack.
        name: Argo's or Metaflow's name of the run, a deployment for its latest run, or
            ``RUN/TASK``, ``DEPLOYMENT/TASK``.

    Raises:
        DevstackError: ``RUN_UNKNOWN`` or ``TASK_UNKNOWN``.
    """
    run, task = _resolve(stack, name)
    item = stack.kube().get(ARGO, "Workflow", run.run_id, stack.state.namespace)
    terms = Terms(
        f"run {run.run_id} of {run.template}",
        f"devstack argo suspend --run --resume {run.run_id}",
        lambda result: failure_of(stack, result),
    )
    return explain_workflow(stack, item, task, terms)


def explain_workflow(stack: Stack, item: Object, task: str, terms: Terms) -> Answer:
    """Return why a workflow does not run, or that it does; also one of another engine.

    Args:
        stack: the stack.
        item: the workflow.
        task: the task to explain; empty for the run.
        terms: the words of its engine.

    Raises:
        DevstackError: ``TASK_UNKNOWN``.
    """
    nodes = parse_nodes(item)
    chosen = find_tasks(nodes, task) if task else nodes
    case = _Case(stack, item, parse_workflow(item), chosen, terms)
    for cause in _CAUSES:
        if (answer := cause(case)) is not None:
            return answer
    return case.answer("running", progress_of(case.run, case.nodes))


def _resolve(stack: Stack, name: str) -> tuple[Workflow, str]:
    """Return the run and the task of ``NAME``, ``FLOW/RUN``, or ``NAME/TASK``."""
    kube, namespace = stack.kube(), stack.state.namespace
    before, slash, after = name.partition("/")
    if slash:
        runs = runs_of(kube, namespace)
        if all(after not in (run.run_id, run.metaflow_id) for run in runs):
            return find_run(kube, namespace, before), after
    return find_run(kube, namespace, name), ""


def _ended(case: _Case) -> Answer | None:
    run = case.run
    if not run.finished:
        return None
    if run.state == "succeeded":
        return case.answer("ended", f"it succeeded in {run.seconds or 0.0:.1f} s")
    error = case.terms.failure(RunResult(run, parse_nodes(case.item), ok=False))
    return case.answer("failed", error.cause, error.remedy)


def _controller_down(case: _Case) -> Answer | None:
    reason = unavailable_reason(case.stack.kube(), argo.NAMESPACE, _CONTROLLER)
    if not reason:
        return None
    because = f"Argo's controller is down, so no task starts and no end is seen: {reason}"
    return case.answer("stuck", because, "devstack logs argo; `devstack up` restarts it")


def _shutting_down(case: _Case) -> Answer | None:
    how = case.item["spec"].get("shutdown")
    return case.answer("waiting", f"it is being stopped ({how})") if how else None


def _suspended(case: _Case) -> Answer | None:
    if case.run.suspended:
        return case.answer("waiting", "it is suspended: no further pod starts", case.terms.resume)
    for node in (case.status.get("nodes") or {}).values():
        if node.get("type") == "Suspend" and node.get("phase") == "Running":
            because = f"its node {node.get('displayName')} waits until somebody resumes it"
            return case.answer("waiting", because, f"argo resume {case.run.run_id}")
    return None


def _unseen(case: _Case) -> Answer | None:
    if case.status.get("phase"):
        return None
    because = "Argo's controller has not seen it yet"
    return case.answer("waiting", because, "run this again in a moment, or devstack logs argo")


def _locked(case: _Case) -> Answer | None:
    """Explain that it waits for a semaphore or a mutex that others hold."""
    for kind, name, holders in _awaited_locks(case.status.get("synchronization") or {}):
        held = f"; held by {shown(holders)}" if holders else ""
        limit = ", or raise the limit in its ConfigMap" if kind == "semaphore" else ""
        because = f"it waits for the {kind} {name}{held}"
        return case.answer("waiting", because, f"wait until a holder ends{limit}")
    return None


def _awaited_locks(status: Object) -> Iterator[tuple[str, str, list[str]]]:
    for each in (status.get("semaphore") or {}).get("waiting") or []:
        yield "semaphore", each.get("semaphore", ""), each.get("holders") or []
    for each in (status.get("mutex") or {}).get("waiting") or []:
        yield "mutex", each.get("mutex", ""), list(filter(None, [each.get("holder", "")]))


def _postponed(case: _Case) -> Answer | None:
    """Repeat what Argo says about a workflow that it does not start."""
    if case.run.state != "pending" or not case.run.message:
        return None
    return case.answer("waiting", case.run.message, "wait until other runs end")


def _pod_waits(case: _Case) -> Answer | None:
    """Explain the pod of a task that does not start; of several, one that never will."""
    found = list(_pods_that_wait(case))
    return next((each for each in found if each.state == "stuck"), next(iter(found), None))


def _pods_that_wait(case: _Case) -> Iterator[Answer]:
    kube, namespace = case.stack.kube(), case.stack.state.namespace
    names = {node.node_id: node.name for node in case.nodes}
    references = [f"jobset/{node.jobset}" for node in case.nodes if _awaits_jobset(node)]
    for pod in pods_of(kube, namespace, case.run.run_id):
        node_id = pod["metadata"].get("annotations", {}).get(NODE_ANNOTATION, "")
        if pod.get("status", {}).get("phase") == "Pending" and node_id in names:
            references.append(f"pod/{pod['metadata']['name']}")
    for reference in references:
        kind, _, name = reference.partition("/")
        if kind == "jobset" and not kube.find(JOBSET, "JobSet", name, namespace):
            continue
        answer = explain(kube, find_subject(kube, reference, namespace))
        if answer.state in ("waiting", "stuck"):
            because = f"{answer.subject}: {answer.because}"
            yield replace(answer, subject=case.answer("", "").subject, because=because)


def _awaits_jobset(node: Node) -> bool:
    return bool(node.jobset) and node.state in ("running", "pending")


def _node_message(case: _Case) -> Answer | None:
    """Repeat what Argo says about a node that is not running: of a retry, most often."""
    for node in (case.status.get("nodes") or {}).values():
        active = node.get("phase") in ("Pending", "Running")
        lock = (node.get("synchronizationStatus") or {}).get("waiting")
        name = node.get("displayName", node["id"])
        if active and lock:
            return case.answer("waiting", f"{name} waits for the lock {lock}")
        if active and node.get("message") and not _has_running_pod(case):
            return case.answer("waiting", f"{name}: {node['message']}")
    return None


def _has_running_pod(case: _Case) -> bool:
    return any(node.state == "running" for node in case.nodes)


_CAUSES: tuple[Callable[[_Case], Answer | None], ...] = (
    _ended,
    _controller_down,
    _shutting_down,
    _suspended,
    _locked,
    _unseen,
    _postponed,
    _pod_waits,
    _node_message,
)
"""From the outermost to the innermost."""
