"""The contract of gang scheduling holds with the coscheduling plug-in: the same cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from devstack.images.catalogue import IMAGES
from devstack.kube.client import KubeClient
from devstack.kube.gang_support import GangSupport
from devstack.why.explain import explain
from devstack.why.subject import find_subject
from tests.conformance import test_gang as contract
from tests.conformance.gang_cluster import SLOT, GangCluster
from tests.conformance.plugin_cluster import plugin_cluster
from tests.conformance.real_nodes import RealNodes
from tests.support.commandline import Devstack
from tests.support.foreign import ForeignCluster

Case = Callable[[GangCluster], None]

CASES: tuple[Case, ...] = (
    contract.test_two_gangs_that_fit_one_at_a_time_each_start_as_a_whole,
    contract.test_metaflows_jobsets_are_gangs_by_default,
    contract.test_a_gang_larger_than_the_cluster_waits_for_another_node,
    contract.test_a_waiting_gang_reports_what_it_needs_and_what_is_free,
    contract.test_three_of_four_pods_wait_for_the_fourth,
    contract.test_the_group_may_be_created_before_its_pods,
    contract.test_a_suspended_jobset_becomes_a_gang_when_it_is_resumed,
    contract.test_ten_gangs_of_five_on_twelve_slots_all_finish,
    contract.test_a_jobset_deleted_while_it_waits_leaves_nothing_and_blocks_no_other,
    contract.test_a_jobset_under_a_deleted_ones_name_is_another_gang,
    contract.test_a_jobset_that_is_restarted_starts_as_a_whole_again,
)


@pytest.fixture(scope="module")
def plugin(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Devstack, ForeignCluster]]:
    """A stack on a cluster with the plug-in."""
    with plugin_cluster(tmp_path_factory.mktemp("plugin")) as made:
        yield made


@pytest.fixture
def cluster(plugin: tuple[Devstack, ForeignCluster]) -> Iterator[GangCluster]:
    """A namespace of its own on that cluster."""
    stack, foreign = plugin
    kube = KubeClient.from_kubeconfig(foreign.kubeconfig.read_text(), timeout=60)
    nodes = RealNodes(stack, foreign.node, IMAGES["task"].reference)
    made = GangCluster(kube, nodes, GangSupport.COSCHEDULING)
    made.begin()
    yield made
    made.finish()


def test_status_reports_that_gangs_are_on(plugin: tuple[Devstack, ForeignCluster]) -> None:
    stack, _ = plugin
    services = {each["name"]: each for each in stack.json("status")["data"]["services"]}
    assert services["gang"]["state"] == "ready"
    assert "off" not in services["gang"]["detail"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.removeprefix("test_"))
def test_a_case_of_the_contract_holds(cluster: GangCluster, case: Case) -> None:
    case(cluster)


def test_why_explains_a_gang_that_waits_by_the_plug_in(cluster: GangCluster) -> None:
    cluster.nodes.offer(4)
    cluster.start("first", 3, seconds=3600)
    cluster.await_bound("first", 3)
    cluster.start("second", 3)
    cluster.await_reason("second", "InsufficientResources")
    for reference in ("jobset/second", f"pod/{cluster.pods('second')[0]['metadata']['name']}"):
        answer = explain(cluster.kube, find_subject(cluster.kube, reference, cluster.namespace))
        assert answer.state == "waiting"
        assert "as a gang its pods start together or not at all; it needs 3 pods" in answer.because
        assert f"JobSet {cluster.namespace}/first (3 {SLOT}, 3 pods)" in answer.because
