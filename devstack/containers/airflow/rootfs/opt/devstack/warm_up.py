"""Lets the processes that execute tasks start with compiled SQL.

Airflow executes each task in two processes, forked from the worker's. Each of them compiles some
forty SQL statements, a third of the CPU time of a trivial task. SQLAlchemy keeps compiled SQL with
the engine, so the processes keep the worker's engine, for which the worker has executed a task.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGSEGV, signal.SIGUSR2)
"""Those for which Airflow installs handlers when it executes a task."""

RUN = "warm_up"
TASK = "first"


def keep_engine() -> None:
    """Let tasks keep this process' engine, and with it compiled SQL; Airflow creates another one.

    Their connections are their own, and are kept, too (airflow_local_settings.py).
    """
    from airflow import settings

    def reconfigure_orm(**_options: Any) -> None:
        settings.Session.remove()

    settings.reconfigure_orm = reconfigure_orm


def keep_configuration() -> None:
    """Do not write the configuration to a file for the second process, which has it already."""
    from airflow.task.task_runner import base_task_runner

    write = base_task_runner.tmp_configuration_copy

    def write_for_another_user(*, include_env: bool, **options: Any) -> str:
        return write(include_env=include_env, **options) if include_env else ""

    base_task_runner.tmp_configuration_copy = write_for_another_user


def warm_up(log_folder: Path) -> None:
    """Execute a task in this process, in a transaction that is rolled back.

    Args:
        log_folder: the folder of task logs, from which the log of this task is removed.
    """
    from airflow.listeners.listener import get_listener_manager

    if get_listener_manager().has_listeners:
        # They are told of each task, and would be of this one.
        return
    try:
        with _silence(), _handlers_restored(), _rolled_back(), _tasks_executed_here():
            _execute_task()
    except (Exception, SystemExit):
        # The tasks compile their SQL themselves.
        log.warning("tasks of this worker take longer to start", exc_info=True)
    finally:
        shutil.rmtree(log_folder / f"dag_id={dag_id()}", ignore_errors=True)


def dag_id() -> str:
    """Return the id of the DAG: workers that start at the same time must not lock the same rows."""
    return f"warm_up.{socket.gethostname()}"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the task out of the worker's log, where users would wonder about it."""
    level = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(level)


@contextlib.contextmanager
def _handlers_restored() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _rolled_back() -> Iterator[None]:
    """Give all sessions one connection; none of them commits a transaction of their caller."""
    from airflow import settings

    session = settings.Session
    session.remove()
    with settings.engine.connect() as connection, connection.begin() as transaction:
        session.configure(bind=connection)
        try:
            yield
        finally:
            session.remove()
            session.configure(bind=settings.engine)
            transaction.rollback()


@contextlib.contextmanager
def _tasks_executed_here() -> Iterator[None]:
    """Let Airflow execute a task without another process and without another connection."""
    from airflow import settings
    from airflow.task import task_runner

    runner, reconfigure = task_runner.get_task_runner, settings.reconfigure_orm
    masks = settings.MASK_SECRETS_IN_LOGS
    task_runner.get_task_runner = _runner_of_this_process()
    settings.reconfigure_orm = lambda **_options: None
    try:
        yield
    finally:
        task_runner.get_task_runner, settings.reconfigure_orm = runner, reconfigure
        settings.MASK_SECRETS_IN_LOGS = masks


def _runner_of_this_process() -> Any:
    from airflow.cli.cli_parser import get_parser
    from airflow.task.task_runner.standard_task_runner import StandardTaskRunner

    class Runner(StandardTaskRunner):
        def start(self) -> None:
            arguments = get_parser().parse_args(self._command[1:])
            arguments.func(arguments, dag=self.dag)
            self._rc = 0

        def return_code(self, timeout: float = 0) -> int | None:
            return self._rc

        def terminate(self) -> None:
            """Do nothing: there is no other process."""

        def get_process_pid(self) -> int:
            return os.getpid()

    return Runner


def _execute_task() -> None:
    """Execute the first of two tasks as `airflow tasks run` does."""
    from airflow.cli.cli_parser import get_parser

    dag = _create_dag()
    _create_run(dag)
    arguments = get_parser().parse_args(["tasks", "run", dag.dag_id, TASK, RUN, "--local"])
    arguments.shut_down_logging = False
    arguments.external_executor_id = RUN
    arguments.func(arguments, dag=dag)


def _create_dag() -> Any:
    from airflow import DAG
    from airflow.operators.empty import EmptyOperator
    from airflow.operators.python import PythonOperator
    from airflow.utils import timezone

    with DAG(dag_id(), schedule=None, start_date=timezone.utcnow()) as dag:
        # Its value is sent to the next task, as those of Metaflow's steps are.
        first = PythonOperator(task_id=TASK, python_callable=lambda: RUN)
        first >> EmptyOperator(task_id="next")
    return dag


def _create_run(dag: Any) -> None:
    """Create a run whose first task has been queued."""
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState
    from airflow.utils.types import DagRunType

    with create_session() as session:
        dag.sync_to_db(session=session)
        run = dag.create_dagrun(
            run_id=RUN,
            state=DagRunState.RUNNING,
            run_type=DagRunType.MANUAL,
            execution_date=dag.start_date,
            data_interval=(dag.start_date, dag.start_date),
            session=session,
        )
        task = run.get_task_instance(TASK, session=session)
        task.state, task.try_number = TaskInstanceState.QUEUED, 1
