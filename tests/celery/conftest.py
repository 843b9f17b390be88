"""The stack whose Airflow has the CeleryExecutor, shared by these tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.airflow.airflow_stack import Airflow
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

Configure = Callable[[str], None]

OTHER_SERVICES = 'without = ["metrics-server"]\n'
CELERY = 'executor = "CeleryExecutor"\nworkers = 2\n'


@pytest.fixture(scope="package")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the settings file of the stack."""
    file = tmp_path_factory.mktemp("settings") / "devstack.toml"
    file.write_text(f"{OTHER_SERVICES}[airflow]\n{CELERY}")
    return file


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, settings: Path) -> Iterator[Devstack]:
    """A stack with two workers that is up; tests restore its state."""
    devstack = Devstack("celery", tmp_path_factory.mktemp("celery"))
    with devstack.brought_up("--config", str(settings)):
        yield devstack


@pytest.fixture
def airflow(stack: Devstack) -> Iterator[Airflow]:
    """Airflow, healthy before and after each test."""
    found = Airflow(stack)
    eventually("Airflow to be healthy", found.answers, timeout=180)
    yield found
    eventually("Airflow to be healthy again", found.answers, timeout=180)


@pytest.fixture
def three_workers(stack: Devstack) -> Iterator[None]:
    """A third worker, for one test."""
    stack.run("airflow", "scale", "3")
    yield
    stack.run("airflow", "scale", "2")


@pytest.fixture
def configure(stack: Devstack, settings: Path) -> Iterator[Configure]:
    """Bring the stack up with another table ``[airflow]``; afterwards with two workers again."""

    def act(table: str) -> None:
        settings.write_text(f"{OTHER_SERVICES}[airflow]\n{table}")
        stack.run("up", "--config", str(settings), "--timeout", "600", timeout=1500)

    yield act
    act(CELERY)
