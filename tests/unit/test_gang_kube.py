from __future__ import annotations

import json

import pytest

from devstack.kube.gang_support import GangSupport, find_gang_support
from devstack.kube.gangs import list_gangs, size_of
from devstack.kube.policies import find_policy_api, with_policy_api
from devstack.kube.resources import ADMISSION, ADMISSION_BETA, COSCHEDULING, POD_GROUPS
from devstack.kube.transport import Answer
from tests.fakes.api import FakeApi
from tests.support.gang_objects import gang, gang_pod, gang_pods


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def test_a_gang_without_nodes_waits_with_a_reason(api: FakeApi) -> None:
    api.add(
        gang(
            "js-1", 3, "InsufficientResources", "needs 3 pods x 1 cpu at once, free resources for 2"
        )
    )
    api.add(*gang_pods("js-1", 3))
    (found,) = list_gangs(api.client())
    assert (found.size, found.bound, found.waits) == (3, 0, True)
    assert found.message == "needs 3 pods x 1 cpu at once, free resources for 2"


def test_a_gang_whose_pods_all_have_nodes_runs(api: FakeApi) -> None:
    api.add(gang("js-1", 2), *gang_pods("js-1", 2, node="one"))
    (found,) = list_gangs(api.client())
    assert not found.waits


def test_a_gang_that_lost_a_pod_later_still_runs(api: FakeApi) -> None:
    api.add(gang("js-1", 2, "Scheduled"), gang_pod("js-1", 0, node="one"))
    (found,) = list_gangs(api.client())
    assert not found.waits


@pytest.mark.parametrize("ended", ["Completed", "Failed"])
def test_an_ended_jobset_is_not_listed(api: FakeApi, ended: str) -> None:
    api.add(gang("js-1", 2, conditions=[{"type": ended, "status": "True"}]))
    assert list_gangs(api.client()) == []


def test_all_pods_that_run_at_the_same_time_count() -> None:
    jobset = gang("js-1", 3)
    jobset["spec"]["replicatedJobs"][1]["template"]["spec"] |= {"parallelism": 4, "completions": 2}
    assert size_of(jobset) == 1 + 2 * 2


class Discovery(FakeApi):
    """An API server that serves some kinds by group and version."""

    def __init__(self, kinds: dict[str, list[str]], version: str = "v1.36.0") -> None:
        super().__init__()
        self._kinds = kinds
        self._version = version

    def request(self, method: str, path: str, **rest: object) -> Answer:  # type: ignore[override]
        if path == "/version":
            return Answer(200, json.dumps({"gitVersion": self._version}).encode())
        version = path.removeprefix("/apis/")
        if version not in self._kinds:
            return Answer(404, b"{}")
        kinds = self._kinds[version]
        served = [{"name": kind.lower(), "kind": kind, "namespaced": True} for kind in kinds]
        return Answer(200, json.dumps({"resources": served}).encode())


POLICY = ["MutatingAdmissionPolicy", "MutatingWebhookConfiguration"]


@pytest.mark.parametrize(
    ("served", "support", "why"),
    [
        ({ADMISSION: POLICY, POD_GROUPS[0]: ["PodGroup"]}, GangSupport.NATIVE, ""),
        ({ADMISSION: POLICY, POD_GROUPS[1]: ["PodGroup"]}, GangSupport.NATIVE, ""),
        ({ADMISSION: POLICY, COSCHEDULING: ["PodGroup"]}, GangSupport.COSCHEDULING, ""),
        ({ADMISSION_BETA: POLICY, COSCHEDULING: ["PodGroup"]}, GangSupport.COSCHEDULING, ""),
        ({ADMISSION_BETA: POLICY}, GangSupport.OFF, "serves no PodGroup"),
        ({POD_GROUPS[0]: ["PodGroup"]}, GangSupport.OFF, "not serve MutatingAdmissionPolicy"),
    ],
)
def test_the_mechanism_of_the_cluster_is_detected(
    served: dict[str, list[str]], support: GangSupport, why: str
) -> None:
    found, reason = find_gang_support(Discovery(served).client())
    assert found == support
    assert why in reason
    assert bool(reason) == (support == GangSupport.OFF)


@pytest.mark.parametrize(
    ("version", "kinds", "expected"),
    [
        ("v1.37.2", {ADMISSION: POLICY, ADMISSION_BETA: POLICY}, ADMISSION),
        ("v1.35.4", {ADMISSION_BETA: POLICY}, ADMISSION_BETA),
        ("v1.35.1-gke.100", {ADMISSION_BETA: POLICY}, ADMISSION_BETA),
        ("v1.34.11", {ADMISSION_BETA: POLICY}, ""),
        ("v1.35.4", {}, ""),
    ],
)
def test_policies_need_an_api_with_the_functions_that_they_call(
    version: str, kinds: dict[str, list[str]], expected: str
) -> None:
    assert find_policy_api(Discovery(kinds, version).client()) == expected


def test_only_policies_get_the_version_of_their_api() -> None:
    objects = [{"kind": "MutatingAdmissionPolicyBinding", "apiVersion": ADMISSION}, {"kind": "Pod"}]
    assert with_policy_api(objects, ADMISSION_BETA) == [
        {"kind": "MutatingAdmissionPolicyBinding", "apiVersion": ADMISSION_BETA},
        {"kind": "Pod"},
    ]
