"""The table [airflow] of devstack.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devstack import airflow_settings
from devstack.airflow_settings import (
    BaseUrl,
    Executor,
    GitSettings,
    Workers,
    executor_names,
    with_absolute_files,
)
from devstack.validation import table_mistakes


def mistakes(value: Any, kind: Any) -> list[str]:
    return table_mistakes({"x": value}, {"x": kind})


def test_several_executors_are_separated_by_commas() -> None:
    assert not mistakes("LocalExecutor, KubernetesExecutor", Executor)
    assert executor_names("LocalExecutor, KubernetesExecutor") == (
        "LocalExecutor",
        "KubernetesExecutor",
    )


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("LocalExecuter", "is none of LocalExecutor, Kub"),
        ("LocalExecuter", "(did you mean 'LocalExecutor'?)"),
        ("", "is none of"),
        (3, "is none of"),
        ("LocalExecutor,", "is none of"),
        ("LocalExecutor,LocalExecutor", "names an executor twice"),
    ],
)
def test_an_unknown_executor_lists_the_choices(value: Any, why: str) -> None:
    (mistake,) = mistakes(value, Executor)
    assert why in mistake


def test_an_executor_that_is_two_already_is_used_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_settings, "ALONE", ("KubernetesExecutor",))
    assert not mistakes("KubernetesExecutor", Executor)
    (mistake,) = mistakes("LocalExecutor,KubernetesExecutor", Executor)
    assert "combines KubernetesExecutor with another executor" in mistake


@pytest.mark.parametrize("value", [0, 20, {"min": 0, "max": 4}, {"min": 2, "max": 2}])
def test_workers_are_a_number_or_a_range(value: Any) -> None:
    assert not mistakes(value, Workers)


OTHER_WORKERS = (-1, 21, 1.5, True, "2")
OTHER_RANGES = (
    {},
    {"min": 1},
    {"min": 3, "max": 2},
    {"min": 0, "max": 0},
    {"min": 0, "max": 4, "mid": 2},
    {"min": "0", "max": 4},
)


@pytest.mark.parametrize("value", [*OTHER_WORKERS, *OTHER_RANGES])
def test_other_workers_are_refused(value: Any) -> None:
    assert len(mistakes(value, Workers)) == 1


def test_a_base_url_has_a_scheme_and_no_query() -> None:
    assert not mistakes("https://host.example/airflow", BaseUrl)
    for wrong in ("host.example", "ftp://host", "https://u@host", "https://host/?a=1", 3):
        assert "is not a URL such as" in mistakes(wrong, BaseUrl)[0]


def test_every_mistake_in_the_repository_is_reported() -> None:
    table = {"repo": 1, "interval": 0, "depth": -1, "brnch": "main"}
    assert mistakes(table, GitSettings) == [
        "x.repo: its value is none of https://HOST/PATH, http://HOST/PATH, ssh://USER@HOST/PATH, "
        "USER@HOST:PATH",
        "x.interval: 0 is not a number of seconds from 1 to 3600",
        "x.depth: -1 is not a number of commits; 0 is all of them",
        "unknown setting 'x.brnch' (did you mean 'branch'?)",
    ]


def test_files_are_relative_to_the_folder_of_the_settings() -> None:
    settings = {"executor": "LocalExecutor", "cfg": "airflow.cfg", "requirements": "/r.txt"}
    assert with_absolute_files(settings, Path("/project")) == {
        "executor": "LocalExecutor",
        "cfg": "/project/airflow.cfg",
        "requirements": "/r.txt",
    }
