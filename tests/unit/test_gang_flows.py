from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from xml.etree import ElementTree

import pytest

from devstack.errors import DevstackError
from devstack.flows.concurrent_runs import (
    check_concurrent_runs,
    cpu_per_rank,
    describe,
    draw_concurrent_runs,
)
from devstack.flows.pending_pods import PendingPods
from devstack.flows.pods import TaskPod
from devstack.flows.result import FlowResult
from devstack.flows.timing import Timing
from devstack.kube.gangs import Gang
from devstack.waits import Failed, Waiting
from tests.fakes.api import FakeApi
from tests.fakes.runner import FakeClock
from tests.support.gang_objects import NAMESPACE, gang, gang_pods


def pod(number: int, created: float, bound: float | None, ended: float | None) -> TaskPod:
    return TaskPod(
        name=f"js-worker-{number}",
        step="hold",
        attempt=0,
        jobset="js",
        phase="Succeeded",
        reason="Completed",
        cpu="200m",
        deadline_seconds=60,
        created=created,
        bound=bound,
        started=bound,
        ended=ended,
    )


def result(run_id: str, pods: list[TaskPod]) -> FlowResult:
    return FlowResult("gang", "GangFlow", run_id, 0, None, Timing(9, 9, 0), pods, ())


def gang_of(created: float, bound: float, ended: float) -> list[TaskPod]:
    return [pod(number, created, bound, ended) for number in range(3)]


FIRST = result("1", gang_of(0, 1, 10))
SECOND = result("2", gang_of(1, 11, 20))


def wrong(*results: FlowResult) -> list[str]:
    return [finding.what for finding in check_concurrent_runs(results, fit=4) if not finding.ok]


def test_complete_gangs_one_after_the_other_pass() -> None:
    assert wrong(SECOND, FIRST) == []


def test_the_pods_of_a_gang_may_be_bound_slowly() -> None:
    slowly = [pod(0, 1, 11, 20), pod(1, 1, 11, 20), pod(2, 1, 14, 20)]
    assert wrong(FIRST, result("2", slowly)) == []


def test_the_second_may_start_while_some_of_the_first_continue() -> None:
    """Four fit: with two of the first ended, three more fit."""
    first = [pod(0, 0, 1, 10), pod(1, 0, 1, 11), pod(2, 0, 1, 15)]
    assert wrong(result("1", first), SECOND) == []


def test_a_gang_that_started_before_all_of_it_fit_is_detected() -> None:
    """With one of the first ended two more fit; the third comes later."""
    first = [pod(0, 0, 1, 10), pod(1, 0, 1, 14), pod(2, 0, 1, 15)]
    parts = [pod(0, 1, 11, 20), pod(1, 1, 11, 20), pod(2, 1, 14, 20)]
    assert wrong(result("1", first), result("2", parts)) == [
        "and none before the first had released resources for all of them"
    ]


def test_a_pod_bound_after_another_had_ended_is_detected() -> None:
    parts = [pod(0, 1, 11, 20), pod(1, 1, 11, 20), pod(2, 1, 21, 30)]
    assert wrong(FIRST, result("2", parts)) == [
        "all pods of the second had a node at the same time"
    ]


def test_gangs_that_shared_the_nodes_are_detected() -> None:
    first = result("1", [pod(0, 0, 1, 10), pod(1, 0, 1, 10), pod(2, 0, 6, 10)])
    early = result("2", gang_of(1, 5, 20))
    assert wrong(first, early) == [
        "before any pod of the second had one",
        "and none before the first had released resources for all of them",
    ]


def test_gangs_that_did_not_compete_are_detected() -> None:
    late = result("2", gang_of(15, 16, 20))
    assert wrong(FIRST, late) == ["both requested resources at the same time"]


def test_a_pod_without_a_node_is_detected() -> None:
    without = replace(SECOND, pods=[pod(0, 1, None, None)])
    assert wrong(FIRST, without) == ["every pod was bound, and ended"]


def test_the_picture_has_a_bar_for_each_wait_and_each_run() -> None:
    picture = ElementTree.fromstring(draw_concurrent_runs([FIRST, SECOND]))
    bars = picture.findall("{http://www.w3.org/2000/svg}rect")
    background = 1
    assert len(bars) == background + 2 * 6


@pytest.mark.parametrize("free", [["0.9"], ["2", "2"], ["7.5", "0.1", "3"], ["1", "1", "1"]])
def test_one_flow_fits_and_two_do_not(free: list[str]) -> None:
    nodes = [Decimal(each) for each in free]
    cpu = cpu_per_rank(nodes, 4)
    slots = sum(int(each / cpu) for each in nodes)
    assert 4 <= slots < 8


def test_a_full_cluster_is_an_error() -> None:
    with pytest.raises(DevstackError) as refusal:
        cpu_per_rank([Decimal(0)], 4)
    assert refusal.value.code == "CPU_INSUFFICIENT"


def test_gangs_are_shown_side_by_side() -> None:
    gangs = [
        Gang("metaflow", "js-1", 4, 4),
        Gang("metaflow", "js-2", 4, 0, "InsufficientResources", "free resources for 2"),
    ]
    assert describe(gangs) == (
        "js-1: 4 of 4 pods have a node | js-2: 0 of 4 pods have a node (free resources for 2)"
    )


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def observe_gang(api: FakeApi, count: int) -> object:
    watch = PendingPods(api.client(), NAMESPACE, FakeClock())
    return watch.observe("17", gang_pods("js-1", count))


def test_a_gang_larger_than_the_cluster_fails_immediately(api: FakeApi) -> None:
    api.add(gang("js-1", 9, "TooLarge", "needs 9 pods x 1 cpu at once"))
    observation = observe_gang(api, 9)
    assert isinstance(observation, Failed)
    assert observation.code == "GANG_TOO_LARGE"
    assert "needs 9 pods" in observation.reason


def test_a_gang_waits_with_the_reason_that_its_jobset_gives(api: FakeApi) -> None:
    api.add(
        gang(
            "js-1", 3, "InsufficientResources", "needs 3 pods x 1 cpu at once, free resources for 2"
        )
    )
    observation = observe_gang(api, 3)
    assert isinstance(observation, Waiting)
    assert (
        observation.reason
        == "gang js-1 waits: it needs 3 pods x 1 cpu at once, free resources for 2"
    )


def test_a_gang_is_observed_once_however_many_pods_it_has(api: FakeApi) -> None:
    api.add(gang("js-1", 8))
    observe_gang(api, 8)
    assert len([path for _, path in api.requests if path.endswith("/jobsets/js-1")]) == 1
