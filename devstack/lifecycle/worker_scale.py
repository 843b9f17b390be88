"""Change the number of Celery workers, and nothing else."""

from __future__ import annotations

from devstack.airflow_settings import DEFAULT_WORKERS
from devstack.lifecycle.airflow_service import (
    installation_settings,
    require_airflow,
    require_celery,
)
from devstack.lifecycle.celery_workers import report_ending_workers
from devstack.lifecycle.node_loading import NodeLoading
from devstack.lifecycle.service_steps import service_steps
from devstack.lifecycle.step import run_steps
from devstack.stack import Stack


def scale_workers(stack: Stack, workers: int | dict[str, int]) -> int | dict[str, int]:
    """Apply a number of workers, and wait until those that were added are ready.

    It does not wait for those that were removed, which end when their tasks have ended.

    Args:
        stack: one that is up; its selected installation of Airflow has an executor of Celery.
        workers: the setting ``workers``.

    Returns:
        The setting that it had.

    Raises:
        DevstackError: ``CELERY_DISABLED``, from a step, or those of :func:`require_airflow`.
    """
    with stack.dir.lock():
        stack.state = stack.dir.read() or stack.state
        service = require_airflow(stack)
        installation = stack.installation
        settings = installation_settings(stack)
        require_celery(stack, "there are no Celery workers to scale")
        before: int | dict[str, int] = settings.get("workers", DEFAULT_WORKERS)
        stack.state.airflow = installation.with_setting(stack.state.airflow, "workers", workers)
        stack.save()
        loading = NodeLoading(stack)
        names = {f"{verb}-{service.name}" for verb in ("tidy", "apply", "ready")}
        steps = [step for step in service_steps(stack, loading) if step.name in names]
        run_steps(steps, stack.progress, stack.clock)
        report_ending_workers(stack)
    return before
