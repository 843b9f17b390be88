"""Celery's worker of Airflow: executes tasks, serves and keeps their logs.

`airflow celery worker` starts processes of gunicorn for the logs, and imports Airflow in each
process that executes tasks. Here Airflow is imported once, before the processes are forked.
docs/adr/0026-celery.md has the reasons.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from typing import Any

import task_logs
import task_state
import warm_up

TICK_SECONDS = 5.0
"""Interval at which the worker's loop reports that it runs."""
HUNG_SECONDS = 60.0
"""A connected worker whose loop has not reported for this long hangs."""


class Pulse:
    """Whether the worker is ready, and whether its loop runs."""

    def __init__(self) -> None:
        self.is_ready = False
        self._is_connected = False
        self._ticked = time.monotonic()

    def connected(self) -> None:
        """Record that the worker gets tasks from the broker."""
        self.tick()
        self._is_connected = True
        self.is_ready = True

    def disconnected(self) -> None:
        """Record that the worker has lost the broker."""
        self._is_connected = False

    def tick(self) -> None:
        """Record that the loop runs."""
        self._ticked = time.monotonic()

    def is_alive(self) -> bool:
        """Return False if the loop hangs.

        Without a connection there is no loop: during an outage of the broker, the worker waits
        for it while its processes execute their tasks.
        """
        return not self._is_connected or time.monotonic() - self._ticked < HUNG_SECONDS


PULSE = Pulse()


def main() -> None:
    """Run the worker until SIGTERM and the end of its tasks."""
    import_airflow()
    folder = task_logs.local_folder()
    # Before there is another thread, whose queries would be part of the transaction.
    warm_up.keep_engine()
    warm_up.keep_configuration()
    warm_up.warm_up(folder)
    from airflow.configuration import conf
    from airflow.providers.celery.executors.celery_executor_utils import app

    install_task(app)
    watch_loop(app)
    # What a killed container could not copy.
    task_logs.keep_all(folder)
    for act, argument in ((task_logs.serve, PULSE), (task_logs.prune_regularly, active_logs)):
        threading.Thread(target=act, args=(folder, argument), daemon=True).start()
    close_connections()
    worker = app.Worker(
        hostname=f"celery@{socket.gethostname()}",
        # Where Airflow puts the tasks that name no queue.
        queues=[conf.get_mandatory_value("operators", "default_queue")],
        optimization="fair",
        loglevel="INFO",
        without_gossip=True,
        without_mingle=True,
        task_events=True,
    )
    worker.start()
    sys.exit(worker.exitcode or 0)


def import_airflow() -> None:
    """Import what almost every task needs: forked processes share it, and start tasks faster."""
    import airflow.cli.commands.task_command
    import airflow.cli.simple_table
    import airflow.decorators
    import airflow.jobs.local_task_job_runner
    import airflow.operators.python
    import airflow.providers.cncf.kubernetes.operators.pod
    import airflow.task.task_runner.standard_task_runner
    import airflow.www.extensions.init_session  # noqa: F401
    from airflow.cli.cli_parser import get_parser
    from sqlalchemy.orm import configure_mappers

    # The parser of `airflow tasks run`, cached.
    get_parser()
    # Before the first query: otherwise each process does it with its own, for a tenth of a second.
    configure_mappers()


def close_connections() -> None:
    """Close the database connections of this process: forked ones would use the same sockets."""
    from airflow import settings

    settings.engine.dispose()


def install_task(app: Any) -> None:
    """Replace Airflow's Celery task by one that tolerates messages that are delivered twice."""
    from airflow.providers.celery.executors import celery_executor_utils as provider
    from celery.exceptions import Ignore

    execute = provider.execute_command.run

    def execute_command(command_to_exec: list[str]) -> None:
        request = app.current_task.request
        task = task_state.Task.of_command(command_to_exec, request.id)
        if (request.delivery_info or {}).get("redelivered") and task_state.is_running_elsewhere(
            task
        ):
            # The broker lost the connection of the worker that executes the task, and delivered
            # its message again. A result would be taken for that of the execution that goes on.
            raise Ignore()
        task_logs.restore(task_logs.local_folder(), task)
        try:
            execute(command_to_exec)
        finally:
            task_logs.keep(task_logs.local_folder(), task)
        if task_state.is_running(task):
            # Another execution was faster to start; Airflow has refused this one.
            raise Ignore()

    app.tasks.pop("execute_command", None)
    app.task(name="execute_command")(execute_command)


def active_logs() -> set[str]:
    """Return the log folders of the tasks that this worker executes, or has taken."""
    from celery.worker import state

    requests = tuple(state.reserved_requests)
    return {task_state.Task.of_command(request.args[0]).log_folder for request in requests}


def watch_loop(app: Any) -> None:
    """Let the worker's loop and its connection report to the probes."""
    from celery import bootsteps

    class Watch(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Timer",)

        def __init__(self, parent: Any, **_options: Any) -> None:
            self.timer: Any = None

        def start(self, parent: Any) -> None:
            self.timer = parent.timer.call_repeatedly(TICK_SECONDS, PULSE.tick)

        def stop(self, parent: Any) -> None:
            if self.timer:
                self.timer.cancel()

    class Connected(bootsteps.StartStopStep):
        # Started after the subscription to the queues, and the first one that an outage stops.
        # The connection itself says nothing: the consumer keeps it until it has the next one.
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, parent: Any) -> None:
            PULSE.connected()

        def stop(self, parent: Any) -> None:
            PULSE.disconnected()

    app.steps["worker"].add(Watch)
    app.steps["consumer"].add(Connected)


if __name__ == "__main__":
    os.environ.setdefault("DEVSTACK_AIRFLOW_PART", "worker")
    main()
