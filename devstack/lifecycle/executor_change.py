"""What happens to running tasks when Airflow's executor changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devstack.airflow_settings import LOCAL_EXECUTOR, executors, has_celery, has_worker_pods
from devstack.services.airflow.installation import DEFAULT, Installation
from devstack.stack import Stack


def report_executor_change(stack: Stack) -> None:
    """Say what happens to running tasks, if `up` changes the executor of a stack that is up."""
    has_airflow = any(service.name == "airflow" for service in stack.services)
    if stack.state.phase != "up" or not has_airflow:
        return
    further = stack.state.airflow.get("installations", {})
    kept = [name for name in further if name in stack.spec.airflow.get("installations", {})]
    for installation in (DEFAULT, *map(Installation, kept)):
        before = installation.settings(stack.state.airflow)
        after = installation.settings(stack.spec.airflow)
        if executors(before) != executors(after):
            stack.progress.warn(_message(installation, before, after))


def _message(
    installation: Installation, before: Mapping[str, Any], after: Mapping[str, Any]
) -> str:
    effects = []
    if LOCAL_EXECUTOR in executors(before):
        effects.append("tasks in the scheduler are stopped, and retried if they have retries")
    if has_worker_pods(before):
        effects.append("tasks in worker pods continue, unless the new executor adopts none")
    if has_celery(before):
        effects.append(
            "Celery workers continue"
            if has_celery(after)
            else "Celery workers finish their tasks first; after ten minutes the rest is returned"
        )
    of = f" in the installation {installation.prefix!r}" if installation.prefix else ""
    return (
        f"Airflow's executor{of} changes from {','.join(executors(before))} to "
        f"{','.join(executors(after))}: {'; '.join(effects)}; queued tasks are queued again; "
        "DAGs, history and pools are kept"
    )
