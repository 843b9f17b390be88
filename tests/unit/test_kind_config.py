from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstack.images.kubernetes_versions import SUPPORTED
from devstack.kube.resources import ADMISSION_BETA, POD_GROUPS
from devstack.providers.base import ClusterSpec
from devstack.providers.features import FEATURES
from devstack.providers.kind.config import build_config
from devstack.providers.kind.requests import patch_files, write_patches
from devstack.state import StackDir

STATIC_PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def config(spec: ClusterSpec, api_port: int = 40000) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(build_config(spec, api_port))
    return parsed


def patch_of(built: dict[str, Any], kind: str, field: str = "kind") -> dict[str, Any]:
    """Return the only patch of a kind of kubeadm's configuration that sets a field."""
    patches = [yaml.safe_load(text) for text in built["kubeadmConfigPatches"]]
    (found,) = [patch for patch in patches if patch["kind"] == kind and field in patch]
    assert isinstance(found, dict)
    return found


def patches(nodes: int) -> dict[str, dict[str, Any]]:
    return {name: yaml.safe_load(text) for name, text in patch_files(nodes).items()}


def container(patch: dict[str, Any]) -> dict[str, Any]:
    spec = patch["spec"].get("template", patch)["spec"]
    (only,) = spec["containers"]
    assert isinstance(only, dict)
    return only


def test_everything_listens_on_loopback_only() -> None:
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


@pytest.mark.parametrize(
    ("minor", "served"),
    [
        ("1.37", POD_GROUPS[0]),
        ("1.36", POD_GROUPS[1]),
        ("1.35", ADMISSION_BETA),
        ("1.34", ADMISSION_BETA),
    ],
)
def test_the_apis_that_gangs_and_packages_need_are_served(minor: str, served: str) -> None:
    """tests/conformance and tests/e2e/test_kubernetes_versions.py show that they work."""
    built = config(ClusterSpec("ci", kubernetes=minor))
    assert built["runtimeConfig"] == {served: "true"}


def test_each_version_of_kubernetes_has_its_features() -> None:
    assert set(FEATURES) == set(SUPPORTED)


def test_hosts_with_cgroup_v1_are_allowed() -> None:
    assert patch_of(config(ClusterSpec("ci")), "KubeletConfiguration")["failCgroupV1"] is False


@pytest.mark.parametrize(("minor", "known"), [("1.37", True), ("1.35", True), ("1.34", False)])
def test_images_on_a_node_are_for_all_pods(minor: str, known: bool) -> None:
    config = build_config(ClusterSpec("ci", kubernetes=minor), api_port=0)
    assert ("imagePullCredentialsVerificationPolicy: NeverVerify" in config) == known


def test_kube_proxy_updates_its_rules_immediately() -> None:
    patch = patch_of(config(ClusterSpec("ci")), "KubeProxyConfiguration")
    assert patch["iptables"] == {"minSyncPeriod": "100ms"}


def test_kubeadm_waits_longer_for_the_api_than_a_slow_machine_needs() -> None:
    patch = patch_of(config(ClusterSpec("ci")), "InitConfiguration", "timeouts")
    assert patch["timeouts"] == {"kubernetesAPICall": "5m0s"}


def test_kubeadm_reads_the_patches_on_the_control_plane_only(tmp_path: Path) -> None:
    text = build_config(ClusterSpec("ci", nodes=2), 0, patches=tmp_path)
    built: dict[str, Any] = yaml.safe_load(text)
    control_plane, worker = built["nodes"]
    (mount,) = control_plane["extraMounts"]
    assert (mount["hostPath"], mount["readOnly"]) == (str(tmp_path), True)
    patch = patch_of(built, "InitConfiguration", "patches")
    assert patch["patches"] == {"directory": mount["containerPath"]}
    assert "extraMounts" not in worker


def test_the_control_plane_requests_a_fraction_of_kubeadms_850_millicores() -> None:
    requests = [container(patch)["resources"]["requests"] for patch in patches(1).values()]
    millicores = [int(each["cpu"].removesuffix("m")) for each in requests]
    assert sum(millicores) <= 200
    assert all(each["memory"].endswith("Mi") for each in requests)


def test_every_static_pod_and_coredns_is_patched() -> None:
    names = {f"{name}+strategic.yaml" for name in (*STATIC_PODS, "corednsdeployment")}
    assert set(patches(1)) == names
    assert {container(patches(1)[f"{name}+strategic.yaml"])["name"] for name in STATIC_PODS} == (
        set(STATIC_PODS)
    )


@pytest.mark.parametrize(("nodes", "replicas"), [(1, 1), (2, 2), (3, 2)])
def test_one_node_has_one_coredns(nodes: int, replicas: int) -> None:
    assert patches(nodes)["corednsdeployment+strategic.yaml"]["spec"]["replicas"] == replicas


def test_the_patches_are_written_where_kind_mounts_them(home: Path) -> None:
    folder = write_patches(StackDir("ci"), nodes=1)
    assert {file.name: file.read_text() for file in folder.iterdir()} == patch_files(1)


@pytest.mark.parametrize("minor", SUPPORTED)
def test_flags_are_patched_in_the_form_of_kubeadm_that_kind_writes(
    minor: str, tmp_path: Path
) -> None:
    """kind writes v1beta3 before Kubernetes 1.36: there, flags are a table."""
    text = build_config(ClusterSpec("ci", kubernetes=minor), 0, tmp_path / "scheduler.yaml")
    patches = yaml.safe_load(text)["kubeadmConfigPatchesJSON6902"]
    old = minor in ("1.34", "1.35")
    assert {patch["version"] for patch in patches} == {"v1beta3" if old else "v1beta4"}
    paths = {operation["path"] for patch in patches for operation in json.loads(patch["patch"])}
    assert ("/scheduler/extraArgs/config" in paths) == old
    assert ("/controllerManager/extraArgs/-" in paths) == (not old)
