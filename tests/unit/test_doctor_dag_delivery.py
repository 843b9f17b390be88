"""What the doctor says about DAG files from Git."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from devstack.doctor.check import run_checks
from devstack.doctor.dag_delivery import DAG_DELIVERY_CHECKS
from devstack.lifecycle.dag_delivery_step import dag_delivery_steps
from devstack.services import SERVICES
from devstack.services.git import ADDRESS
from devstack.services.git_sync import GitSyncService
from devstack.stack import Stack
from tests.fakes.airflow import airflow_stack
from tests.fakes.api import FakeApi


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def stack(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    made = airflow_stack(1, tmp_path)
    git_sync = [each for each in SERVICES if isinstance(each, GitSyncService)]
    made = replace(made, services=[*made.services, *git_sync])
    monkeypatch.setattr(made, "kube", lambda *_a, **_o: api.client())
    return made


def report(api: FakeApi, **values: str) -> None:
    now = datetime.now(timezone.utc).isoformat()
    text = json.dumps({"since": now, "checked": now, "branch": "main", **values})
    metadata = {"name": "git-sync", "namespace": "airflow"}
    api.add(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"status": text}}
    )


def codes(stack: Stack) -> list[str]:
    (made,) = run_checks(DAG_DELIVERY_CHECKS, stack)
    return [each.code for each in made.findings]


@pytest.mark.breaks("dag-delivery")
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("UNREACHABLE", "GIT_UNREACHABLE"),
        ("UNAUTHORISED", "GIT_UNAUTHORISED"),
        ("GIT_FAILED", "GIT_FAILED"),
    ],
)
def test_a_failure_of_git_sync_is_reported(
    stack: Stack, api: FakeApi, code: str, expected: str
) -> None:
    report(api, state="failed", code=code, reason="refused", repo="https://git.example/dags.git")
    assert codes(stack) == [expected]
    (made,) = run_checks(DAG_DELIVERY_CHECKS, stack)
    cause = "DAG files are not updated from https://git.example/dags.git: refused"
    assert made.findings[0].cause == cause


def test_a_branch_that_is_served_is_fine(stack: Stack, api: FakeApi) -> None:
    report(api, state="synced")
    assert codes(stack) == []


def test_stacks_without_git_have_nothing_to_check(stack: Stack) -> None:
    (made,) = run_checks(DAG_DELIVERY_CHECKS, replace(stack, services=[]))
    assert made.findings == []
    assert made.reason == "DAG files do not come from Git"


def test_up_waits_for_the_folder_of_changed_settings(stack: Stack, api: FakeApi) -> None:
    stack.state.airflow = {"dags": "git", "git": {"subfolder": "dags"}}
    [step] = dag_delivery_steps(stack)
    report(api, state="synced", repo=ADDRESS)
    assert not step.is_done(), "git-sync has not seen the change yet"
    report(api, state="synced", repo=ADDRESS, subfolder="dags")
    assert step.is_done()
