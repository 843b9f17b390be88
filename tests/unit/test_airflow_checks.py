"""The checks of the Airflow samples: they pass for a good run and fail for a broken one."""

from __future__ import annotations

import base64
import importlib
from collections.abc import Mapping
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import metaflow
import metaflow.cards
import pytest

from devstack.samples.catalogue import DAG_SAMPLES
from devstack.samples.checks.result import CheckResult

CARD = base64.b64encode(b'{"source": "# Hello Hello Airflow"}').decode()

STEPS: Mapping[str, list[dict[str, Any]]] = {
    "linear": [{"step": "start"}, {"step": "middle"}, {"step": "end"}],
    "fanout": [
        {"step": "start"},
        *({"step": "work", "index": index} for index in range(3)),
        {"step": "join"},
        {"step": "end"},
    ],
    "flaky": [{"step": "start", "attempts": 2}, {"step": "always_fails"}, {"step": "end"}],
    "branches": [{"step": step} for step in ("start", "letters", "words", "join", "end")],
    "scheduled": [{"step": "start"}, {"step": "end"}],
    "backfill": [{"step": "start"}, {"step": "end"}],
    "celery": [
        {"step": "start"},
        *({"step": "work", "index": index} for index in range(4)),
        {"step": "join"},
        {"step": "end"},
    ],
}
DATA: Mapping[str, dict[str, Any]] = {
    "linear": {"sentence": "Hello Hello Airflow", "in_pod": True},
    "fanout": {"squares": [1, 4, 9], "total": 14},
    "flaky": {"attempt": 1, "reason": "ValueError: this is not a number, on purpose"},
    "branches": {"counts": {"letters": 13, "words": 6}, "text": "to be or not to be"},
    "scheduled": {},
    "backfill": {"date": "2026-11-01", "weekday": "Sunday"},
    "celery": {"total": 100},
}
KINDS = {"backfill": "backfill__2026-11-01T00:00:00+00:00"}
"""The run's id in Airflow, if it is not one of the schedule."""

OUTPUT = (
    "The DAG said: Hello Hello Airflow. The scheduler called at 15:00, was a Sunday, add up to 100"
)
FAILED = "RuntimeError: the first attempt fails, on purpose"


class FakeRun:
    """Fake of a run in Metaflow's client."""

    def __init__(self, name: str, **changed: Any) -> None:
        kind = KINDS.get(name, "scheduled__1")
        facts = {"successful": True, "output": OUTPUT, "kind": kind, **changed}
        self.successful = facts["successful"]
        now = datetime.now(timezone.utc)
        self._data = {"now": now, **DATA[name], **facts.get("data", {})}
        self._facts = facts
        self._names = [task["step"] for task in STEPS[name]]

    def __getitem__(self, step: str) -> Any:
        task = SimpleNamespace(
            data=SimpleNamespace(**self._data),
            stdout=self._facts["output"],
            pathspec=f"Flow/1/{step}/1",
            metadata_dict={"airflow-dag-run-id": self._facts["kind"]},
        )
        several = [task] * self._names.count(step)
        return _Step(several)


class _Step(list[Any]):
    @property
    def task(self) -> Any:
        return self[0]


def tasks(name: str, **changed: Any) -> list[dict[str, Any]]:
    worker = "airflow-worker-0.airflow-worker.airflow.svc.cluster.local"
    usual = {"index": -1, "attempts": 1, "state": "success", "worker": worker}
    return [{**usual, **task, **changed} for task in STEPS[name]]


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch) -> Any:
    def examine(
        name: str, run: FakeRun, observed: list[dict[str, Any]], **outside: str
    ) -> list[CheckResult]:
        page = f'__MF_DATA__["card"] = "{outside.get("card", CARD)}"'
        first = SimpleNamespace(stderr=outside.get("failed", FAILED))
        monkeypatch.setattr(metaflow, "Task", lambda *_, **__: first)
        cards = [SimpleNamespace(get=lambda: page)]
        monkeypatch.setattr(metaflow.cards, "get_cards", lambda _: cards)
        check = importlib.import_module(f"devstack.samples.checks.{name}").check
        found: list[CheckResult] = check(run, observed)
        return found

    return examine


@pytest.mark.parametrize("name", [sample.name for sample in DAG_SAMPLES])
def test_all_checks_pass_for_a_good_run(examine: Any, name: str) -> None:
    findings = examine(name, FakeRun(name), tasks(name))
    assert [finding for finding in findings if not finding.ok] == []
    assert len(findings) >= 5


@pytest.mark.parametrize("name", [sample.name for sample in DAG_SAMPLES])
def test_every_check_can_fail(examine: Any, name: str) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=timezone.utc)
    wrong = dict.fromkeys(DATA[name], "wrong") | {"now": long_ago}
    run = FakeRun(name, successful=False, data=wrong, output="", kind="manual__1")
    run._names = [*run._names, "work"]
    broken = tasks(name, state="failed", attempts=7, step="other", index=9, worker="scheduler")
    findings = examine(name, run, broken, card="", failed="")
    assert [finding.what for finding in findings if finding.ok] == []
