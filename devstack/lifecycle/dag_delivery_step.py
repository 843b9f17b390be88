"""The step of `up` that reports why DAG files do not arrive from Git."""

from __future__ import annotations

from devstack.errors import DevstackError
from devstack.lifecycle.step import Step
from devstack.services.git_problems import problem_of
from devstack.services.git_sync import GitStatus, GitSyncService, read_status, source_of
from devstack.stack import Stack
from devstack.waits import Observation, Ready, Waiting, wait_until

REPORT_SECONDS = 15.0
"""Time for git-sync's first look at the branch; it goes on whether `up` waits or not."""


def dag_delivery_steps(stack: Stack) -> list[Step]:
    """Return the step, if DAG files come from Git.

    A repository that does not answer is no reason to stop `up`: the stack works, and git-sync
    goes on trying.
    """
    if not any(service.name == GitSyncService.name for service in stack.services):
        return []
    return [
        Step(
            "dag-delivery",
            "Look at the branch of DAG files",
            is_done=lambda: _is_fine(stack, read_status(stack.kube())),
            ensure=lambda: _report(stack),
            needs_api=True,
        )
    ]


def _is_fine(stack: Stack, status: GitStatus) -> bool:
    """Return True if a status is that of the settings, without a problem."""
    source = source_of(stack.state.airflow)
    wanted = (source.repo, source.branch, source.subfolder)
    is_same = (status.repo, status.branch, status.subfolder) == wanted
    return is_same and status.state in ("synced", "empty") and problem_of(status) is None


def _report(stack: Stack) -> None:
    def observe() -> Observation:
        status = read_status(stack.kube())
        return Ready() if _is_fine(stack, status) else Waiting(str(status))

    try:
        wait_until(
            observe,
            what="the first commit from Git",
            timeout=min(REPORT_SECONDS, stack.spec.timeout),
            clock=stack.clock,
            note=stack.progress.note,
        )
    except DevstackError:
        status = read_status(stack.kube())
        problem = problem_of(status)
        remedy = problem.remedy if problem else "devstack logs git-sync"
        stack.progress.warn(f"DAG files do not arrive from Git: git-sync {status}. {remedy}")
