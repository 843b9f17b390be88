from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from devstack.providers.base import ClusterSpec
from devstack.providers.kind.config import build_config


def config(spec: ClusterSpec, api_port: int = 40000) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(build_config(spec, api_port))
    return parsed


def test_everything_listens_on_loopback_alone() -> None:
    built = config(ClusterSpec("ci", host_ports={9000: 30900, 9001: 30901}))
    assert built["networking"] == {"apiServerAddress": "127.0.0.1", "apiServerPort": 40000}
    mappings = built["nodes"][0]["extraPortMappings"]
    assert {mapping["listenAddress"] for mapping in mappings} == {"127.0.0.1"}
    assert [(each["hostPort"], each["containerPort"]) for each in mappings] == [
        (9000, 30900),
        (9001, 30901),
    ]


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_one_node_is_the_control_plane_and_the_others_work(nodes: int) -> None:
    roles = [node["role"] for node in config(ClusterSpec("ci", nodes=nodes))["nodes"]]
    assert roles == ["control-plane", *["worker"] * (nodes - 1)]


def test_ports_are_mapped_once_however_many_nodes_there_are() -> None:
    nodes = config(ClusterSpec("ci", nodes=3, host_ports={9000: 30900}))["nodes"]
    assert ["extraPortMappings" in node for node in nodes] == [True, False, False]


def test_gang_scheduling_is_on() -> None:
    built = config(ClusterSpec("ci"))
    assert built["featureGates"] == {
        "GenericWorkload": True,
        "GangScheduling": True,
        "WorkloadAwarePreemption": True,
    }
    assert built["runtimeConfig"] == {"scheduling.k8s.io/v1alpha2": "true"}


def test_hosts_with_cgroup_v1_are_allowed() -> None:
    (patch,) = config(ClusterSpec("ci"))["kubeadmConfigPatches"]
    assert yaml.safe_load(patch)["failCgroupV1"] is False


def test_the_controllers_start_quickly() -> None:
    (patch,) = config(ClusterSpec("ci"))["kubeadmConfigPatchesJSON6902"]
    added = {each["value"]["name"]: each["value"]["value"] for each in json.loads(patch["patch"])}
    assert added["leader-elect"] == "false"
    assert int(added["kube-api-qps"]) > 100
