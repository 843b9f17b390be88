"""What happens to running tasks when Airflow's executor or its broker changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devstack.airflow_settings import (
    LOCAL_EXECUTOR,
    broker,
    executors,
    has_celery,
    has_worker_pods,
)
from devstack.services.airflow.installation import DEFAULT, Installation
from devstack.stack import Stack


def report_executor_change(stack: Stack) -> None:
    """Say what happens to tasks, if `up` changes executor or broker of a stack that is up."""
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
        elif broker(before) != broker(after):
            stack.progress.warn(_broker_message(installation, before, after))


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
            else "`up` waits for Celery's workers, which finish their tasks; after ten minutes the "
            "rest is stopped, and retried if it has retries"
        )
    return (
        f"Airflow's executor{_of(installation)} changes from {','.join(executors(before))} to "
        f"{','.join(executors(after))}: {'; '.join(effects)}; queued tasks are queued again; "
        "DAGs, history and pools are kept"
    )


def _broker_message(
    installation: Installation, before: Mapping[str, Any], after: Mapping[str, Any]
) -> str:
    # Airflow takes them for tasks that the former broker still has, until that time is over.
    return (
        f"the broker of Airflow's Celery workers{_of(installation)} changes from {broker(before)} "
        f"to {broker(after)}: running tasks continue; tasks that are queued may wait for ten "
        "minutes until they are queued again; DAGs, history and pools are kept"
    )


def _of(installation: Installation) -> str:
    return f" in the installation {installation.prefix!r}" if installation.prefix else ""
