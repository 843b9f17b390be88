"""Check of how DAG files reach Airflow."""

from __future__ import annotations

from devstack.doctor.check import REQUEST_TIMEOUT, Check, Fault, Finding, NotApplicableError
from devstack.services.git_problems import PROBLEMS, STOPPED, problem_of
from devstack.services.git_sync import GitSyncService, read_status
from devstack.stack import Stack

_STOPPED = "GIT_SYNC_STOPPED"


def _check_git(stack: Stack) -> list[Finding]:
    if not any(service.name == GitSyncService.name for service in stack.services):
        raise NotApplicableError("DAG files do not come from Git")
    status = read_status(stack.kube(REQUEST_TIMEOUT))
    problem = problem_of(status)
    if problem is None:
        return []
    if status.is_stale:
        return [Finding(f"git-sync {status}", problem.remedy, _STOPPED)]
    cause = f"DAG files are not updated from {status.repo}: {status.reason}"
    return [Finding(cause, problem.remedy, fault_code(status.code))]


def fault_code(code: str) -> str:
    """Return the code of a finding, from the code that git-sync reports."""
    return code if code.startswith("GIT_") else f"GIT_{code}"


DAG_DELIVERY_CHECKS = (
    Check(
        "dag-delivery",
        "DAG files are up to date with their branch",
        _check_git,
        (
            *(
                Fault(fault_code(code), each.meaning, each.remedy)
                for code, each in PROBLEMS.items()
            ),
            Fault(_STOPPED, STOPPED.meaning, STOPPED.remedy),
        ),
        needs_stack=True,
    ),
)
