"""Metaflow's behaviour for gangs: failures, retries, resume, and gangs that do not fit."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.commandline import Devstack
from tests.support.eventually import eventually

FLOWS = Path(__file__).with_name("flows")
TRIO = str(FLOWS / "trio.py")


def pods_of(stack: Devstack, run_id: str) -> list[dict[str, Any]]:
    answer = stack.admin_kubectl("get", "pods", "-n", "metaflow", "-o", "json")
    return [
        pod
        for pod in json.loads(answer.stdout)["items"]
        if pod["metadata"].get("annotations", {}).get("metaflow/run_id") == run_id
    ]


def none_runs(stack: Devstack, run_id: str) -> bool:
    phases = {pod["status"]["phase"] for pod in pods_of(stack, run_id)}
    return phases <= {"Succeeded", "Failed"}


def test_a_failed_rank_fails_the_step_and_the_whole_gang_is_retried(stack: Devstack) -> None:
    envelope = stack.json("run", "--local", TRIO, "--", "--fails", "1", timeout=1200)
    data = envelope["data"]
    assert envelope["status"] == "ok"
    attempts = Counter((pod["jobset"], pod["attempt"]) for pod in data["pods"])
    assert sorted(attempt for _, attempt in attempts) == [0, 1]
    last = {jobset for jobset, attempt in attempts if attempt == 1}
    assert sum(count for (jobset, _), count in attempts.items() if jobset in last) == 3
    assert none_runs(stack, data["run_id"])


def test_a_step_that_failed_at_every_attempt_is_resumed_as_a_whole(stack: Devstack) -> None:
    failed = stack.json(
        "run", "--local", TRIO, "--", "--until-resumed", "True", check=False, timeout=1200
    )
    assert failed["error"]["code"] == "FLOW_FAILED"
    eventually("all ranks to be ended", lambda: none_runs(stack, failed["data"]["run_id"]))
    resumed = stack.json("run", "--local", TRIO, "--", "resume", timeout=1200)
    assert resumed["status"] == "ok"
    assert len({pod["name"] for pod in resumed["data"]["pods"]}) == 3


@pytest.fixture
def seats(stack: Devstack) -> None:
    stack.give_node(f"devstack-{stack.name}-control-plane", "devstack.dev/seat", 7)


@pytest.mark.usefixtures("seats")
def test_a_gang_larger_than_the_cluster_is_stopped_with_the_reason(stack: Devstack) -> None:
    done = stack.json("run", "--local", str(FLOWS / "crowd.py"), check=False, timeout=600)
    assert done["error"]["code"] == "GANG_TOO_LARGE"
    assert "free resources for 7" in done["error"]["cause"]
    run_id = done["data"]["run_id"]
    assert not [pod for pod in pods_of(stack, run_id) if pod["spec"].get("nodeName")]
    eventually("the gang to be removed", lambda: not pods_of(stack, run_id), timeout=60)
