"""What a pod lacks on the closest node, and the lines of devstack.toml that would offer it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from devstack import quantity
from devstack.config import load
from devstack.kube.client import Object
from devstack.kube.offers import closest_shortfall, measure_offers
from devstack.kube.pool_lines import lines_for_gang, lines_for_pod
from devstack.kube.scheduling import observe_unscheduled
from devstack.kube.shape import Shape, build_shape, read_shape
from devstack.pools.instance_types import INSTANCE_TYPES
from devstack.pools.nodes import pool_nodes
from devstack.pools.settings import PoolSettings
from devstack.pools.suggestion import Wanted, suggest_pool
from devstack.pools.toml_tables import pool_table
from devstack.waits import Failed, Waiting
from tests.fakes.api import FakeApi, pod

GIB = 1024**3


def task(labels: dict[str, str] | None = None, **requests: str) -> Object:
    amounts = {name.replace("__", "/").replace("_", "."): text for name, text in requests.items()}
    amounts = {"nvidia.com/gpu" if name == "gpu" else name: text for name, text in amounts.items()}
    resources = {"requests": amounts}
    spec: Object = {"containers": [{"name": "work", "image": "x", "resources": resources}]}
    return pod("t-1", "metaflow", spec={**spec, "nodeSelector": labels or {}})


def node(name: str, pool: str = "", taints: Any = (), **offered: str) -> Object:
    labels = {"devstack.dev/pool": pool} if pool else {}
    amounts = {"nvidia.com/gpu" if key == "gpu" else key: text for key, text in offered.items()}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": list(taints)},
        "status": {"allocatable": {"pods": "110", **amounts}},
    }


def stack(*nodes: Object, addable: tuple[Object, ...] = ()) -> FakeApi:
    api = FakeApi()
    api.add(*nodes)
    shape = Shape(True, 2, 24 * GIB, {item["metadata"]["name"]: item for item in addable})
    api.add(build_shape(shape))
    return api


def refused(api: FakeApi, item: Object) -> Failed:
    found = observe_unscheduled(api.client(), item, "0/1 nodes are available")
    assert isinstance(found, Failed), found
    return found


def pod_lines(api: FakeApi, item: Object) -> list[str]:
    offers = measure_offers(api.client())
    assert offers is not None
    closest = closest_shortfall(item, offers.nodes)
    assert closest is not None
    return lines_for_pod(item, closest, offers)


def gang_lines(api: FakeApi, *items: Object) -> list[str]:
    offers = measure_offers(api.client())
    assert offers is not None
    return lines_for_gang(items, offers)


def test_the_shape_is_read_as_it_was_written() -> None:
    api = stack(addable=(node("n", "spot", cpu="4"),))
    shape = read_shape(api.client())
    assert shape.has_pools
    assert list(shape.addable) == ["n"]
    assert shape.real == "the machine that runs all nodes really has 2 CPUs and 24,576 MiB"
    assert read_shape(FakeApi().client()) == Shape()
    limited = Shape(True, 2, 24 * GIB, {}, 21 * GIB)
    assert limited.real.endswith("2 CPUs and 24,576 MiB, of which pods may use 21,504 MiB")


def test_the_closest_node_is_named_with_all_that_it_lacks() -> None:
    spot = {"key": "node.kubernetes.io/lifecycle", "value": "spot", "effect": "NoSchedule"}
    api = stack(
        node("base", cpu="4", memory="8Gi"),
        node("gpu-0", "gpu", [spot], cpu="8", memory="64Gi", gpu="1"),
    )
    found = refused(api, task(cpu="16", memory="32Gi", gpu="1"))
    assert "The closest, gpu-0 of pool 'gpu', offers 8 cpu (16 requested), has the taint" in (
        found.reason
    )
    assert "node.kubernetes.io/lifecycle=spot:NoSchedule, which the pod does not tolerate" in (
        found.reason
    )
    assert found.code == "POD_UNSCHEDULABLE"


def test_a_pool_that_lacks_only_resources_gets_the_lines_that_it_lacks() -> None:
    api = stack(node("gpu-0", "gpu", cpu="8", memory="64Gi", gpu="1"))
    assert pod_lines(api, task(cpu="16", memory="32Gi", gpu="4")) == [
        '# in the table [[pool]] with name = "gpu":',
        "cpu = 17",
        "gpu = { count = 4 }",
    ]
    remedy = refused(api, task(cpu="16")).remedy
    assert remedy.endswith('name = "gpu":\n    cpu = 17')


def test_without_a_pool_to_change_a_table_is_suggested() -> None:
    api = stack(node("base", "control-plane", cpu="64", memory="256Gi"))
    labels = {
        "node.kubernetes.io/instance-type": "p3.8xlarge",
        "topology.kubernetes.io/zone": "us-east-1a",
        "team": "research",
    }
    assert pod_lines(api, task(labels, cpu="16", memory="64Gi", gpu="4")) == [
        "[[pool]]",
        'name = "p3-8xlarge"',
        'instance_type = "p3.8xlarge"',
        'zones = ["us-east-1a"]',
        'labels = { "team" = "research" }',
    ]


@pytest.mark.parametrize(
    ("requests", "labels"),
    [
        ({"cpu": "500", "memory": "900Gi"}, {}),
        ({"cpu": "1", "ephemeral-storage": "2Ti"}, {}),
        ({"cpu": "40", "memory": "64Gi"}, {"node.kubernetes.io/instance-type": "p3.8xlarge"}),
        ({"amd.com/gpu": "2"}, {}),
        ({"example.com/efa": "4", "nvidia.com/gpu": "8"}, {"topology.kubernetes.io/zone": "z"}),
    ],
)
def test_the_suggested_table_is_valid_and_offers_what_is_requested(
    tmp_path: Any, requests: dict[str, str], labels: dict[str, str]
) -> None:
    amounts = {name: quantity.parse(text) or Decimal(0) for name, text in requests.items()}
    text = "\n".join(suggest_pool(Wanted(amounts, labels, 2)))
    file = tmp_path / "devstack.toml"
    file.write_text(text)
    first, second = pool_nodes(load(file).pool)
    assert first.labels.items() >= labels.items()
    offered = {"cpu": first.cpu, "memory": first.memory, "ephemeral-storage": first.disk}
    for name, amount in amounts.items():
        assert {**offered, **first.extended}[name] >= amount
    assert second.extended == first.extended


def test_what_no_pool_can_offer_has_no_lines() -> None:
    api = stack(node("base", cpu="4", memory="8Gi"))
    for labels, cpu in (({}, "2000"), ({"kubernetes.io/arch": "sparc"}, "1")):
        assert pod_lines(api, task(labels, cpu=cpu)) == []
        assert "devstack.toml" not in refused(api, task(labels, cpu=cpu)).remedy


def test_a_provider_without_pools_is_not_recommended_any() -> None:
    api = FakeApi()
    api.add(node("base", cpu="4"))
    assert "devstack.toml" not in refused(api, task(cpu="8")).remedy


def test_a_node_that_a_pool_adds_is_awaited() -> None:
    api = stack(node("base", cpu="4"), addable=(node("big-0", "big", cpu="64"),))
    found = observe_unscheduled(api.client(), task(cpu="32"), "1 Insufficient cpu")
    assert isinstance(found, Waiting)
    assert "big-0 of pool 'big', offers 64 cpu" in refused(api, task(cpu="65")).reason


def test_a_node_that_is_cordoned_or_not_ready_is_awaited() -> None:
    cordoned = node("base", cpu="4")
    cordoned["spec"] = {
        "unschedulable": True,
        "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}],
    }
    api = stack(cordoned)
    assert isinstance(observe_unscheduled(api.client(), task(cpu="2"), "…"), Waiting)


def test_what_the_stack_itself_uses_of_a_node_is_not_offered_to_tasks() -> None:
    service = pod("minio-0", spec={**task(cpu="1")["spec"], "nodeName": "base"}, phase="Running")
    job = task(cpu="3")
    job["metadata"] |= {"name": "t-0", "labels": {"batch.kubernetes.io/job-name": "t-0"}}
    job["spec"]["nodeName"] = "base"
    api = stack(node("base", cpu="4"))
    api.add(service, job)
    assert isinstance(observe_unscheduled(api.client(), task(cpu="3"), "…"), Waiting)
    assert "offers 3 cpu (4 requested)" in refused(api, task(cpu="4")).reason


def test_a_gang_that_needs_more_nodes_gets_the_count_of_its_pool() -> None:
    api = stack(node("base", cpu="4"), node("gpu-0", "gpu", cpu="16"))
    assert gang_lines(api, *[task(cpu="8")] * 7) == [
        '# in the table [[pool]] with name = "gpu":',
        "count = 4",
    ]


def test_a_gang_larger_than_a_pools_max_gets_a_larger_max() -> None:
    api = stack(node("base", cpu="4"), addable=(node("gpu-0", "gpu", cpu="16"),))
    assert gang_lines(api, *[task(cpu="8")] * 4)[1] == "max = 2"


def test_a_gang_of_which_no_pod_fits_gets_a_pool_for_all_of_them() -> None:
    api = stack(node("base", cpu="4", memory="8Gi"))
    lines = gang_lines(api, *[task(cpu="8", memory="4Gi")] * 3)
    assert lines == ["[[pool]]", 'name = "large"', "count = 3", "cpu = 9", 'memory = "5Gi"']


def test_more_pods_than_nodes_are_allowed_share_them() -> None:
    lines = gang_lines(stack(node("base", cpu="1", memory="1Gi")), *[task(cpu="2")] * 50)
    assert lines[2:4] == ["count = 17", "cpu = 7"]


def test_a_node_that_lists_no_devices_of_count_0_is_ready() -> None:
    item = node("gpu-0", "gpu", cpu="4")
    item["metadata"]["annotations"] = {"devstack.dev/devices": '{"nvidia.com/gpu": 0}'}
    offers = measure_offers(stack(item).client())
    assert offers is not None
    assert offers.later == {}


def suggested(labels: dict[str, str] | None = None, nodes: int = 0, **requests: str) -> list[str]:
    names = {"memory": "memory", "disk": "ephemeral-storage"}
    amounts = {
        names.get(name, name): quantity.parse(text) or Decimal(0)
        for name, text in {"cpu": "1", "memory": "1Gi", **requests}.items()
    }
    return suggest_pool(Wanted(amounts, labels or {}), {"taken"}, nodes)


@pytest.mark.parametrize("kind", INSTANCE_TYPES)
def test_the_name_of_a_suggested_pool_is_valid_for_all_instance_types(kind: str) -> None:
    lines = suggested({"node.kubernetes.io/instance-type": kind})
    assert lines[0] == "[[pool]]"
    name = lines[1].removeprefix('name = "').removesuffix('"')
    assert 1 <= len(name) <= 20
    assert name == name.strip("-")


def test_the_label_of_a_pool_is_its_name() -> None:
    assert suggested({"devstack.dev/pool": "gpu2"})[1] == 'name = "gpu2"'
    assert suggested({"devstack.dev/pool": "taken"}) == []
    assert suggested({"devstack.dev/pool": "control-plane"}) == []


@pytest.mark.parametrize(
    "requests",
    [{"disk": "10Ti"}, {"memory": "30Ti"}, {"nvidia.com/gpu": "2000"}, {"cpu": "1024"}],
)
def test_what_devstack_toml_would_reject_is_not_suggested(requests: dict[str, str]) -> None:
    assert suggested(**requests) == []


def test_the_nodes_of_other_pools_count() -> None:
    assert suggested(nodes=19)
    assert suggested(nodes=20) == []
    others = [node(f"o-{index}", f"o{index}", cpu="1") for index in range(18)]
    api = stack(node("base", cpu="1"), *others, node("gpu-0", "gpu", cpu="16"))
    assert gang_lines(api, *[task(cpu="9")] * 2)[1] == "count = 2"
    more = gang_lines(api, *[task(cpu="9")] * 3)
    assert more[:1] != ['# in the table [[pool]] with name = "gpu":']


def test_devices_of_another_vendor_do_not_replace_those_of_a_pool() -> None:
    api = stack(node("gpu-0", "gpu", cpu="8", memory="64Gi", gpu="1"))
    lines = pod_lines(api, task(cpu="1", **{"amd.com/gpu": "2"}))
    assert lines[1:] == ['extended = { "amd.com/gpu" = 2 }']


def test_the_file_that_names_the_pools_is_the_one_to_write(tmp_path: Any) -> None:
    api = stack(node("base", cpu="1"))
    api.add(build_shape(Shape(True, pool_file="/home/ann/large.toml")))
    remedy = refused(api, task(cpu="4")).remedy
    assert (
        "write into /home/ann/large.toml and run `devstack up --config /home/ann/large.toml`"
        in (remedy)
    )


def test_pools_of_the_command_line_are_among_the_lines_that_replace_them(tmp_path: Any) -> None:
    api = stack(node("gpu-0", "gpu", cpu="8"))
    table = pool_table(PoolSettings(name="gpu", cpu=8, spot=True))
    api.add(build_shape(Shape(True, unwritten=[table])))
    remedy = refused(api, task(cpu="16")).remedy
    assert "devstack.toml (with the pools of --pool, which it replaces)" in remedy
    lines = [line.strip() for line in remedy.splitlines()[1:]]
    file = tmp_path / "devstack.toml"
    file.write_text("\n".join(line for line in lines if line != "cpu = 17"))
    assert [pool["name"] for pool in load(file).pool] == ["gpu"]
    assert lines[-2:] == ['# in the table [[pool]] with name = "gpu":', "cpu = 17"]


def test_a_gang_whose_pods_need_different_labels_has_no_single_pool() -> None:
    api = stack(node("base", cpu="1"))
    assert gang_lines(api, task({"team": "a"}, cpu="2"), task({"team": "a"}, cpu="2"))
    assert gang_lines(api, task({"team": "a"}, cpu="2"), task({"team": "b"}, cpu="2")) == []


def test_a_pod_that_only_lacks_a_label_is_not_told_to_request_less() -> None:
    item = task(cpu="1")
    item["spec"]["nodeSelector"] = {"disk": "ssd"}
    remedy = refused(stack(node("base", cpu="4")), item).remedy
    assert remedy.startswith("change its node selector, or write into devstack.toml")
