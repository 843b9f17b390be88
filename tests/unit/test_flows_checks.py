"""Every check of every sample passes for a good run, and fails for a broken one.

For each check there is a run as it should be.  Then each of its facts is
changed in turn: every claim must fail for one of these changes at least, or it
would be a claim that cannot fail.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from devstack.samples.checks.result import CheckResult, contains, same, within

PART = b"seven"
SUMS = {f"part-{n}": hashlib.sha256(PART + bytes([n])).hexdigest() for n in range(4)}


@dataclass
class FakeRun:
    """A run, as Metaflow's client shows it, made of plain values.

    Attributes:
        successful: whether the run succeeded.
        data: each step's artifacts; a list of them for a foreach.
        pods: the observed pods.
        log: the standard error of the task that a check reads.
        elsewhere: what S3 or a card holds.
    """

    data: dict[str, Any]
    pods: list[dict[str, Any]]
    successful: bool = True
    log: str = ""
    elsewhere: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, step: str) -> Any:
        tasks = self.data[step] if isinstance(self.data[step], list) else [self.data[step]]
        shown = [
            SimpleNamespace(data=SimpleNamespace(**each), stderr=self.log, pathspec=f"F/1/{step}/1")
            for each in tasks
        ]
        return _Step(shown)

    def __iter__(self) -> Iterator[Any]:
        return (SimpleNamespace(id=step) for step in self.data)


class _Step:
    def __init__(self, tasks: list[Any]) -> None:
        self._tasks = tasks
        self.task = tasks[0]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._tasks)


def pod(step: str, **more: Any) -> dict[str, Any]:
    facts = {
        "name": f"t-{step}",
        "attempt": 0,
        "jobset": "",
        "phase": "Succeeded",
        "cpu": "200m",
        "deadline_seconds": 120,
        "seconds": 62.0,
    }
    return {**facts, "step": step, **more}


def account(number: int, passed_on: int, rank: int) -> dict[str, Any]:
    return {
        "number": number,
        "passed_on": passed_on,
        "total": 111,
        "pod": f"js-1-{rank}",
        "address": f"10.0.0.{rank}",
    }


GOOD = {
    "hello": FakeRun(
        data={
            "end": {
                "greeting": "Hello, world!",
                "started_in_pod": False,
                "greeted_in_pod": True,
                "pod": "t-greet",
            }
        },
        pods=[pod("greet")],
    ),
    "foreach": FakeRun(
        data={
            "join": {
                "results": {"plain": 25, "flaky": 25},
                "attempts": {"plain": 0, "flaky": 1, "always_fails": 1},
                "failures": {"always_fails": "ValueError: always_fails fails"},
            },
            "work": [{"item": "plain"}, {"item": "flaky"}],
        },
        pods=[pod("work", attempt=attempt) for attempt in (0, 0, 0, 1, 1)],
        log="RuntimeError: flaky fails at its first attempt",
    ),
    "timeout": FakeRun(
        data={"end": {"finished": False, "reason": "the task failed"}}, pods=[pod("sleep")]
    ),
    "parallel": FakeRun(
        data={
            "join": {
                "accounts": {0: account(1, 1, 0), 1: account(10, 11, 1), 2: account(100, 111, 2)}
            }
        },
        pods=[pod("add", jobset="js-1") for _ in range(3)],
    ),
    "datatools": FakeRun(
        data={"end": {"checksums": SUMS, "received": SUMS}},
        pods=[pod("start"), pod("read")],
        elsewhere={"parts": dict.fromkeys(SUMS, 30000000)},
    ),
    "report": FakeRun(
        data={"end": {}},
        pods=[pod("start"), pod("end")],
        elsewhere={
            "id": "months",
            "type": "blank",
            "shown": 'The first months of a year ["February", 28] 90 days in all',
        },
    ),
    "settings": FakeRun(
        data={
            "end": {
                "mode": "lesson",
                "level": 3,
                "token_length": 32,
                "token_sha256": "abc",
                "expected_sha256": "abc",
                "token_here": False,
            }
        },
        pods=[pod("start")],
    ),
    "storage": FakeRun(
        data={
            "end": {
                "note": "n" * 32,
                "note_read": "n" * 32,
                "writer": "a",
                "reader": "b",
                "tempdir_type": "tmpfs",
                "scratch_bytes": 8 * 2**20,
                "shm_type": "tmpfs",
                "shm_mebibytes": 48,
                "shared": 24 * 2**20,
            }
        },
        pods=[pod("start"), pod("read"), pod("memory")],
    ),
    "failure": FakeRun(
        data={"start": {}, "give_up": {}},
        pods=[pod("give_up", phase="Failed")],
        successful=False,
        log="the fuel gauge reads 0 litres\nRuntimeError: out of fuel, on purpose",
    ),
}


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return a function that checks a run, with Metaflow's own lookups answered by it."""

    def examine(name: str, run: FakeRun) -> list[CheckResult]:
        monkeypatch.setattr(
            "metaflow.Task", lambda *_args, **_named: SimpleNamespace(stderr=run.log)
        )
        monkeypatch.setattr("metaflow.S3", lambda run: _Bucket(run, tmp_path))
        monkeypatch.setattr("metaflow.cards.get_cards", lambda _task: _cards(run.elsewhere))
        check = importlib.import_module(f"devstack.samples.checks.{name}").check
        findings: list[CheckResult] = check(run, run.pods)
        return findings

    return examine


class _Bucket:
    def __init__(self, run: FakeRun, folder: Path) -> None:
        self._run, self._folder = run, folder

    def __enter__(self) -> _Bucket:
        return self

    def __exit__(self, *_exception: object) -> None:
        pass

    def get_all(self) -> list[Any]:
        return [self._part(n, *each) for n, each in enumerate(self._run.elsewhere["parts"].items())]

    def _part(self, number: int, key: str, size: int) -> Any:
        path = self._folder / key
        path.write_bytes(PART + bytes([number]))
        return SimpleNamespace(key=key, path=str(path), size=size)


def _cards(page: dict[str, Any]) -> list[Any]:
    data = base64.b64encode(page["shown"].encode()).decode()
    text = f'<html><script>window.__MF_DATA__["1"] = "{data}"</script>'
    return [SimpleNamespace(id=page["id"], type=page["type"], get=lambda: text)]


def changes(value: Any) -> Iterator[Any]:
    """Return copies with one fact changed in each."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (-1, value + 1)
    elif isinstance(value, str):
        yield from ("", "something else")
    elif isinstance(value, list):
        yield []
        yield from (
            [*value[:at], new, *value[at + 1 :]]
            for at, old in enumerate(value)
            for new in changes(old)
        )
        yield [*value, *value[:1]]
    elif isinstance(value, dict):
        yield {}
        yield from ({**value, key: new} for key, old in value.items() for new in changes(old))
        # One more than there should be; and what should differ no longer does.
        yield {**value, "another": {}}
        yield from ({**value, key: other} for key in value for other in value.values())


def broken(run: FakeRun) -> Iterator[FakeRun]:
    for name in ("data", "pods", "successful", "log", "elsewhere"):
        for new in changes(getattr(run, name)):
            other = deepcopy(run)
            setattr(other, name, new)
            yield other


@pytest.mark.parametrize("name", GOOD)
def test_a_good_run_passes_all_checks(examine: Any, name: str) -> None:
    assert [finding for finding in examine(name, GOOD[name]) if not finding.ok] == []


@pytest.mark.parametrize("name", GOOD)
def test_every_claim_can_fail(examine: Any, name: str) -> None:
    claims = {finding.what for finding in examine(name, GOOD[name])}
    refuted: set[str] = set()
    for run in broken(GOOD[name]):
        try:
            refuted |= {finding.what for finding in examine(name, run) if not finding.ok}
        except (KeyError, AttributeError, IndexError, StopIteration, TypeError):
            continue  # A missing fact raises an exception in the check, which is a failure too.
    assert claims - refuted == set()


def test_results_include_the_observed_value() -> None:
    assert same("a", 1, 2).saw == "1 instead of 2"
    assert contains("a", "some text", "more").saw == "no 'more' in 'some text'"
    assert within("a", 7, 1, 5).saw == "7, not between 1 and 5"
    assert len(same("a", "x" * 5000, "").saw) < 300
    assert json.dumps(same("a", 1, 1).what)
