"""Change the number of Celery workers, and nothing else."""

from __future__ import annotations

from devstack.airflow_settings import DEFAULT_WORKERS, has_celery
from devstack.errors import DevstackError, ExitStatus
from devstack.lifecycle.node_loading import NodeLoading
from devstack.lifecycle.service_steps import service_steps
from devstack.lifecycle.step import run_steps
from devstack.stack import Stack, require_up


def scale_workers(stack: Stack, workers: int | dict[str, int]) -> int | dict[str, int]:
    """Apply a number of workers, and wait until those that were added are ready.

    Args:
        stack: one that is up, with an executor of Celery.
        workers: the setting ``workers``.

    Returns:
        The setting that it had.

    Raises:
        DevstackError: ``STACK_DOWN``, ``AIRFLOW_DISABLED``, ``CELERY_DISABLED`` or from a step.
    """
    with stack.dir.lock():
        stack.state = stack.dir.read() or stack.state
        require_up(stack)
        if not has_celery(stack.state.airflow):
            raise _no_workers()
        before: int | dict[str, int] = stack.state.airflow.get("workers", DEFAULT_WORKERS)
        stack.state.airflow = {**stack.state.airflow, "workers": workers}
        stack.save()
        loading = NodeLoading(stack)
        names = {f"{verb}-airflow" for verb in ("tidy", "apply", "ready")}
        steps = [step for step in service_steps(stack, loading) if step.name in names]
        if not steps:
            raise DevstackError(
                "the stack has no Airflow",
                remedy="devstack up --with airflow",
                code="AIRFLOW_DISABLED",
                exit_status=ExitStatus.ENVIRONMENT,
            )
        run_steps(steps, stack.progress, stack.clock)
    return before


def _no_workers() -> DevstackError:
    return DevstackError(
        "there are no Celery workers to scale",
        cause="Airflow's executor is not one of Celery",
        remedy='set executor = "CeleryExecutor" in the table [airflow] of devstack.toml, then '
        "devstack up",
        code="CELERY_DISABLED",
        exit_status=ExitStatus.USAGE,
    )
