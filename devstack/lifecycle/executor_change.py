"""What happens to running tasks when Airflow's executor changes."""

from __future__ import annotations

from devstack.airflow_settings import LOCAL_EXECUTOR, executors, has_celery, has_worker_pods
from devstack.stack import Stack


def report_executor_change(stack: Stack) -> None:
    """Say what happens to running tasks, if `up` changes the executor of a stack that is up."""
    before, after = executors(stack.state.airflow), executors(stack.spec.airflow)
    has_airflow = any(service.name == "airflow" for service in stack.services)
    if stack.state.phase != "up" or before == after or not has_airflow:
        return
    effects = []
    if LOCAL_EXECUTOR in before:
        effects.append("tasks in the scheduler are stopped, and retried if they have retries")
    if has_worker_pods(stack.state.airflow):
        effects.append("tasks in worker pods continue, unless the new executor adopts none")
    if has_celery(stack.state.airflow):
        effects.append(
            "Celery workers continue"
            if has_celery(stack.spec.airflow)
            else "Celery workers finish their tasks first; after ten minutes the rest is returned"
        )
    stack.progress.warn(
        f"Airflow's executor changes from {','.join(before)} to {','.join(after)}: "
        f"{'; '.join(effects)}; queued tasks are queued again; DAGs, history and pools are kept"
    )
