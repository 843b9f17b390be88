"""Measures Airflow's executors on one stack: `up`, the start of a task, throughput, memory."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.benchmarks.figures import Figure, parse_arguments, report, seconds_between
from scripts.benchmarks.pod_memory import idle_memory
from tests.airflow.airflow_stack import Airflow
from tests.celery.conftest import OTHER_SERVICES
from tests.celery.counted import deploy_counted, executions, instances
from tests.support.commandline import Devstack

STACK = "bench-celery"
NAMESPACES = ("airflow", "postgres", "rabbitmq")
MANY = 200
RUNS_OF_ONE = 7
CELERY = 'executor = "CeleryExecutor"\nworkers = 2\nworker_concurrency = 4\n'
KUBERNETES = 'executor = "KubernetesExecutor"\n'
WITH_CELERY = ("CeleryKubernetesExecutor", "LocalExecutor,CeleryExecutor")


def main() -> int:
    """Measure, print a table, write JSON; 1 if a budget is missed."""
    arguments = parse_arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        stack = Devstack(STACK, Path(folder))
        try:
            figures = list(_measure(stack, Path(folder) / "devstack.toml", arguments.runs))
        finally:
            stack.run("down")
    return report(figures, "Airflow's executors", arguments.json)


def _measure(stack: Devstack, settings: Path, runs: int) -> Iterator[Figure]:
    local = [_time_up(stack, settings, "") for _ in range(runs)]
    airflow = Airflow(stack)
    memory = idle_memory(stack, NAMESPACES)
    yield Figure("LocalExecutor: Airflow and Postgres idle", "MiB", sum(memory.values()))
    _up(stack, settings, KUBERNETES)
    yield Figure(
        "KubernetesExecutor: Airflow and Postgres idle",
        "MiB",
        sum(idle_memory(stack, NAMESPACES).values()),
    )
    pods = _queued_to_running(airflow)
    celery = [_time_up(stack, settings, CELERY) for _ in range(runs)]
    yield Figure("devstack up, LocalExecutor", "s", statistics.median(local))
    added = statistics.median(celery) - statistics.median(local)
    yield Figure("devstack up, what CeleryExecutor adds", "s", added, 15.0)
    yield from _celery_memory(stack)
    workers = _queued_to_running(airflow)
    yield Figure("queued -> running, p50 (peer: KubernetesExecutor)", "s", workers, 1.0, pods)
    yield Figure("seconds for a trivial task, of 200 tasks", "s", _time_many(airflow) / MANY, 0.2)
    for name in WITH_CELERY:
        _up(stack, settings, CELERY.replace("CeleryExecutor", name))
        memory = idle_memory(stack, NAMESPACES)
        yield Figure(f"{name}: Airflow, Postgres, RabbitMQ idle", "MiB", sum(memory.values()))


def _up(stack: Devstack, settings: Path, table: str) -> None:
    settings.write_text(f"{OTHER_SERVICES}[airflow]\n{table}")
    stack.run("up", "--config", str(settings), "--timeout", "900", timeout=3600)


def _time_up(stack: Devstack, settings: Path, table: str) -> float:
    stack.run("down")
    began = time.monotonic()
    _up(stack, settings, table)
    return time.monotonic() - began


def _celery_memory(stack: Devstack) -> Iterator[Figure]:
    memory = idle_memory(stack, NAMESPACES)
    yield Figure("RabbitMQ idle", "MiB", memory["rabbitmq"], 130.0)
    yield Figure("a worker idle", "MiB", memory["airflow-worker-0"], 250.0)
    yield Figure("Flower idle", "MiB", memory["airflow-flower"], 90.0)
    yield Figure("CeleryExecutor: Airflow, Postgres, RabbitMQ idle", "MiB", sum(memory.values()))


def _queued_to_running(airflow: Airflow) -> float:
    """Return the median of the seconds that one task waits, with nothing else to do."""
    deploy_counted(airflow, "one", 1)
    waits = []
    for _ in range(RUNS_OF_ONE):
        run = airflow.start("one")
        if airflow.finish(run) != "success":
            raise SystemExit(f"{run} failed")
        (task,) = instances(airflow, run)
        waits.append(seconds_between(task["queued_when"], task["start_date"]))
    return statistics.median(waits)


def _time_many(airflow: Airflow) -> float:
    """Return the seconds from the start of the first of many tasks to the end of the last."""
    deploy_counted(airflow, "many", MANY)
    run = airflow.start("many")
    if airflow.finish(run) != "success":
        raise SystemExit(f"{run} failed")
    if executions(airflow, run) != dict.fromkeys(range(MANY), 1):
        raise SystemExit("a task was lost, or executed more than once")
    tasks = instances(airflow, run)
    return seconds_between(
        min(task["start_date"] for task in tasks), max(task["end_date"] for task in tasks)
    )


if __name__ == "__main__":
    sys.exit(main())
