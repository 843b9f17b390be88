"""What the Airflow image adds to Celery's workers: scaling, kept logs, tasks of messages."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from devstack.images.recipes.airflow import ROOTFS


def load(name: str) -> ModuleType:
    """Return a module of the image; what it needs must be installed here."""
    spec = importlib.util.spec_from_file_location(name, ROOTFS / "opt/devstack" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def database_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image's modules import it; no test here connects."""
    import sys

    monkeypatch.setitem(sys.modules, "psycopg2", ModuleType("psycopg2"))


@pytest.fixture
def autoscaler(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    import sys

    # `@dataclass` looks the module up.
    monkeypatch.setitem(sys.modules, "autoscaler", ModuleType("autoscaler"))
    return load("autoscaler")


@pytest.fixture
def task_state(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    import sys

    monkeypatch.setitem(sys.modules, "task_state", ModuleType("task_state"))
    return load("task_state")


def test_workers_are_added_at_once_and_removed_after_a_minute(autoscaler: ModuleType) -> None:
    demand = autoscaler.Demand(least=0, most=4, concurrency=4)
    assert demand.workers(0, 0, now=0) == 0
    assert demand.workers(9, 0, now=1) == 3
    assert demand.workers(100, 4, now=2) == 4
    assert demand.workers(0, 0, now=61) == 4
    assert demand.workers(1, 1, now=63) == 1
    assert demand.workers(0, 0, now=124) == 0


def test_a_worker_that_executes_a_task_is_kept(autoscaler: ModuleType) -> None:
    demand = autoscaler.Demand(least=0, most=4, concurrency=4)
    demand.workers(16, 4, now=0)
    # The last of four workers has the only task left; the others would not be removed before it.
    assert demand.workers(1, 4, now=600) == 4
    assert demand.workers(0, 0, now=661) == 0
    assert demand.workers(1, 12, now=662) == 4, "those that the settings do not allow any more"


def test_the_least_number_of_workers_is_kept(autoscaler: ModuleType) -> None:
    assert autoscaler.Demand(least=2, most=4, concurrency=4).workers(0, 0, now=0) == 2


@pytest.mark.parametrize(
    "fault", [http.client.IncompleteRead(b""), json.JSONDecodeError("cut off", "", 0), OSError()]
)
def test_an_answer_that_is_cut_off_does_not_end_the_autoscaler(
    autoscaler: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    written: list[int] = []
    answers: Iterator[Exception | int] = iter([fault, 0])

    class Scale:
        def read(self) -> int:
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        def write(self, count: int) -> None:
            written.append(count)
            raise KeyboardInterrupt

    monkeypatch.setenv("DEVSTACK_SCALING", '{"min": 0, "max": 4, "concurrency": 4}')
    monkeypatch.setattr(autoscaler.psycopg2, "Error", LookupError, raising=False)
    monkeypatch.setattr(autoscaler, "ALIVE", tmp_path / "alive")
    monkeypatch.setattr(autoscaler, "Scale", Scale)
    monkeypatch.setattr(autoscaler, "POLL_SECONDS", 0)
    monkeypatch.setattr(autoscaler, "_connect", lambda: "connection")
    monkeypatch.setattr(autoscaler, "_count", lambda *_arguments: (9, 0))
    with pytest.raises(KeyboardInterrupt):
        autoscaler.main()
    assert written == [3]


def test_a_message_names_its_task(task_state: ModuleType) -> None:
    command = ["airflow", "tasks", "run", "dag", "work", "manual__1", "--local"]
    task = task_state.Task.of_command(command, "id-1")
    assert (task.dag, task.task, task.run, task.index) == ("dag", "work", "manual__1", -1)
    assert task.log_folder == "dag_id=dag/run_id=manual__1/task_id=work"
    mapped = task_state.Task.of_command([*command, "--map-index", "3"])
    assert mapped.log_folder.endswith("/task_id=work/map_index=3")


def test_logs_are_kept_on_the_volume(
    tmp_path: Path, task_state: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_logs = load("task_logs")
    local, home = tmp_path / "local", tmp_path / "home"
    monkeypatch.setenv("AIRFLOW_HOME", str(home))
    task = task_state.Task("dag", "work", "run")
    path = local / task.log_folder / "attempt=1.log"
    path.parent.mkdir(parents=True)
    path.write_text("first")
    task_logs.keep(local, task)
    kept = home / "logs" / task.log_folder / "attempt=1.log"
    assert kept.read_text() == "first"
    path.write_text("first, and more")
    os.utime(path, (kept.stat().st_mtime + 1,) * 2)
    task_logs.keep_all(local)
    assert kept.read_text() == "first, and more"
    assert [each.name for each in kept.parent.iterdir()] == ["attempt=1.log"]


def test_a_worker_deletes_old_logs_that_are_on_the_volume(
    tmp_path: Path, task_state: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_logs = load("task_logs")
    local = tmp_path / "local"
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))

    def log(name: str) -> Path:
        path: Path = local / task_state.Task("dag", name, "run").log_folder / "attempt=1.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        return path

    ended, running, killed, refused = map(log, ("ended", "running", "killed", "refused"))
    volume = tmp_path / "home" / "logs"
    task_logs.keep(local, task_state.Task("dag", "ended", "run"))
    task_logs.prune(local, [])
    assert ended.exists(), "it is new"
    monkeypatch.setattr(task_logs, "PRUNE_AGE", -1)
    # Nothing can be copied there.
    (volume / refused.relative_to(local).parent).write_text("")
    task_logs.prune(local, [str(running.relative_to(local).parent)])
    assert [each.exists() for each in (ended, killed)] == [False, False]
    assert running.exists()
    assert refused.exists()
    assert not ended.parent.exists()
    for path in (ended, killed):
        assert (volume / path.relative_to(local)).read_text() in path.parent.name


def test_an_attempt_that_goes_on_at_another_worker_keeps_its_log(
    tmp_path: Path, task_state: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_logs = load("task_logs")
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    task = task_state.Task("dag", "work", "run")
    for number in range(3):
        local = tmp_path / f"worker-{number % 2}"
        task_logs.restore(local, task)
        path = local / task.log_folder / "attempt=1.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as log:
            log.write(f"{number}\n")
        os.utime(path, (number + 1, number + 1))
        task_logs.keep(local, task)
    kept = tmp_path / "home" / "logs" / task.log_folder / "attempt=1.log"
    assert kept.read_text() == "0\n1\n2\n"


def test_the_worker_serves_the_queue_of_tasks_that_name_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    from types import SimpleNamespace

    started: dict[str, Any] = {}

    def make_worker(**options: Any) -> Any:
        started.update(options)
        return SimpleNamespace(start=lambda: None, exitcode=0)

    options = {("operators", "default_queue"): "main"}
    conf = SimpleNamespace(get_mandatory_value=lambda *path: options[path])
    utils = "airflow.providers.celery.executors.celery_executor_utils"
    modules: dict[str, dict[str, Any]] = {
        "airflow.configuration": {"conf": conf},
        utils: {"app": SimpleNamespace(Worker=make_worker)},
        "task_logs": {
            "local_folder": lambda: tmp_path,
            **dict.fromkeys(("keep_all", "serve", "prune_regularly"), print),
        },
        "task_state": {},
        "warm_up": dict.fromkeys(
            ("keep_engine", "keep_configuration", "warm_up"), lambda *_arguments: None
        ),
    }
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    for count in range(1, len(utils.split("."))):
        monkeypatch.setitem(
            sys.modules, name := ".".join(utils.split(".")[:count]), ModuleType(name)
        )
    worker = load("celery_worker")
    for each in ("import_airflow", "install_task", "watch_loop", "close_connections"):
        monkeypatch.setattr(worker, each, lambda *_arguments: None)
    with pytest.raises(SystemExit):
        worker.main()
    assert started["queues"] == ["main"]


@pytest.mark.parametrize("is_database", [True, False])
def test_only_a_database_gets_tables_for_the_results_of_tasks(
    monkeypatch: pytest.MonkeyPatch, is_database: bool
) -> None:
    import sys
    from types import SimpleNamespace

    made: list[str] = []

    class DatabaseBackend:
        def ResultSession(self) -> Any:  # noqa: N802 - Celery's name
            return SimpleNamespace(close=lambda: made.append("tables"))

    app = SimpleNamespace(backend=DatabaseBackend() if is_database else object())
    modules: dict[str, dict[str, Any]] = {
        "airflow.providers.celery.executors.celery_executor_utils": {"app": app},
        "airflow.providers.fab.auth_manager.cli_commands.utils": {"get_application_builder": 0},
        "airflow.utils": {"db": 0},
        "airflow.utils.session": {"create_session": 0},
        "celery.backends.database": {"DatabaseBackend": DatabaseBackend},
        "sqlalchemy": {"text": 0},
        "werkzeug.security": {"generate_password_hash": 0},
    }
    for name, content in modules.items():
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            parent = ".".join(parts[:count])
            monkeypatch.setitem(sys.modules, parent, sys.modules.get(parent, ModuleType(parent)))
        monkeypatch.setitem(sys.modules, name, module := ModuleType(name))
        vars(module).update(content)
    load("setup")._create_result_tables()
    assert made == ["tables"] * is_database


@pytest.fixture
def warm_up(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, whose task does nothing; Airflow is not installed here."""
    import contextlib
    import sys

    module = load("warm_up")
    manager = SimpleNamespace(has_listeners=False)
    listener = SimpleNamespace(get_listener_manager=lambda: manager)
    for name in ("airflow", "airflow.listeners"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "airflow.listeners.listener", listener)
    for name in ("_rolled_back", "_tasks_executed_here"):
        monkeypatch.setattr(module, name, contextlib.nullcontext)
    monkeypatch.setattr(module, "manager", manager, raising=False)
    return module


def test_a_worker_starts_although_its_own_task_fails(
    warm_up: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import logging
    import signal

    def fail() -> None:
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        (tmp_path / f"dag_id={warm_up.dag_id()}").mkdir()
        logging.getLogger("airflow").info("Running the task")
        raise SystemExit("no database")

    handler = signal.getsignal(signal.SIGUSR2)
    monkeypatch.setattr(warm_up, "_execute_task", fail)
    caplog.set_level(logging.INFO)
    warm_up.warm_up(tmp_path)
    assert [record.getMessage() for record in caplog.records] == [
        "tasks of this worker take longer to start"
    ]
    assert signal.getsignal(signal.SIGUSR2) is handler
    assert list(tmp_path.iterdir()) == []


def test_listeners_are_not_told_of_the_workers_own_task(
    warm_up: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    warm_up.manager.has_listeners = True
    monkeypatch.setattr(warm_up, "_execute_task", lambda: pytest.fail("executed"))
    warm_up.warm_up(tmp_path)
