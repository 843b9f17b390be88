"""The checks of the samples for Argo: they pass for a good run and fail for a broken one."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from devstack.samples.catalogue import ARGO_SAMPLES, Sample
from devstack.samples.checks.argo_linear import MOTTO

STEPS: Mapping[str, list[str]] = {
    "argo-linear": ["start", "middle", "end"],
    "argo-fanout": ["start", *["shop"] * 3, "end"],
    "argo-branches": ["start", "recursive-halve", "recursive-halve", "tell", "end"],
    "argo-gang": ["start", "meet", "join", "end"],
    "argo-events": ["start", "end"],
}
ITEMS = [(0, 0), (0, 1), (1, 0)]
DATA: Mapping[str, dict[str, Any]] = {
    "argo-linear": {"sentence": f"{MOTTO} {MOTTO}!", "workflow": "w-1"},
    "argo-fanout": {"totals": {"north": 14, "south": 10}},
    "argo-branches": {"result": 3, "halved": 2},
    "argo-gang": {"met": {0: [0, 1, 2], 1: [0, 1, 2], 2: [0, 1, 2]}, "jobsets": ["js-1"]},
    "argo-events": {"source": "ArgoEventsSourceFlow/argo-x", "number": 42},
}
OUTPUT = f"The workflow said: {MOTTO} {MOTTO}! and 3 ranks were there"


class FakeRun:
    """Fake of a run in Metaflow's client."""

    def __init__(self, name: str, data: Mapping[str, Any], output: str, *, good: bool) -> None:
        self.successful = good
        self.id = "argo-w-1"
        self._task = SimpleNamespace(data=SimpleNamespace(**data), stdout=output)
        self._count = STEPS[name].count("shop") if good else 1

    def __getitem__(self, step: str) -> Any:
        return _Step([self._task] * self._count if step == "shop" else [self._task])


class _Step(list[Any]):
    @property
    def task(self) -> Any:
        return self[0]


def nodes(name: str, **changed: Any) -> list[dict[str, Any]]:
    items = iter(ITEMS)
    heartbeat = {"step": "heartbeat-daemon", "state": "failed", "items": [], "jobset": ""}
    return [heartbeat] + [
        {
            "step": step,
            "state": "succeeded",
            "items": list(next(items)) if step == "shop" else [],
            "jobset": "js-1" if step == "meet" else "",
            **changed,
        }
        for step in STEPS[name]
    ]


def check(sample: Sample, run: FakeRun, tasks: list[dict[str, Any]]) -> list[Any]:
    module = importlib.import_module(f"devstack.samples.checks.{sample.module}")
    found: list[Any] = module.check(run, tasks)
    return found


@pytest.mark.parametrize("sample", ARGO_SAMPLES, ids=lambda sample: str(sample.name))
def test_all_checks_pass_for_a_good_run(sample: Sample) -> None:
    run = FakeRun(sample.name, DATA[sample.name], OUTPUT, good=True)
    findings = check(sample, run, nodes(sample.name))
    assert [finding for finding in findings if not finding.ok] == []
    assert len(findings) >= 5


@pytest.mark.parametrize("sample", ARGO_SAMPLES, ids=lambda sample: str(sample.name))
def test_every_check_can_fail(sample: Sample) -> None:
    run = FakeRun(sample.name, dict.fromkeys(DATA[sample.name], "wrong"), "", good=False)
    broken = nodes(sample.name, state="failed", step="other", jobset="js-2")
    findings = check(sample, run, broken)
    assert [finding.what for finding in findings if finding.ok] == []
