"""Properties of the files below k8s/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from devstack import quantity
from devstack.images.catalogue import IMAGES
from devstack.kube import manifests
from devstack.kube.client import Object
from devstack.kube.resources import KNOWN
from devstack.paths import project_file
from devstack.services import SERVICES

FOLDERS = sorted(path.name for path in project_file("k8s").iterdir() if path.is_dir())


def workloads() -> Iterator[tuple[str, dict[str, Any]]]:
    for folder in FOLDERS:
        for item in manifests.load(folder):
            if "spec" in item.get("spec", {}).get("template", {}):
                yield f"{folder}/{item['metadata']['name']}", item["spec"]["template"]["spec"]


PODS = list(workloads())
JOBS = {
    f"{folder}/{item['metadata']['name']}"
    for folder in FOLDERS
    for item in manifests.load(folder)
    if item["kind"] == "Job"
}
CONTAINERS = [(name, container) for name, pod in PODS for container in pod["containers"]]


ON_NODES = ("node-agent/node-agent", "network-policies/network-policies")
"""They use sockets of the kubelet and of containerd, which are root's, and change the network of
their node. The tests of these services name their capabilities."""


def key(item: Object) -> tuple[str, str, str]:
    metadata = item["metadata"]
    return item["kind"], metadata.get("namespace", ""), metadata["name"]


def test_every_folder_is_a_service_and_every_service_has_one() -> None:
    assert {service.name for service in SERVICES} == set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_objects_come_after_their_namespace(folder: str) -> None:
    # rbac creates the task namespace first, and airflow its own; every cluster has kube-system.
    created = {"metaflow", "kube-system", *(["airflow"] if folder == "git-sync" else [])}
    for item in manifests.load(folder):
        namespace = item["metadata"].get("namespace")
        assert namespace is None or namespace in created, key(item)
        if item["kind"] == "Namespace":
            created.add(item["metadata"]["name"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_kinds_need_no_discovery(folder: str) -> None:
    for item in manifests.load(folder):
        resource = KNOWN[item["apiVersion"], item["kind"]]
        assert resource.namespaced == ("namespace" in item["metadata"]), key(item)


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_secret_is_in_a_file(folder: str) -> None:
    for item in manifests.load(folder):
        if item["kind"] == "Secret":
            assert not item.get("data"), key(item)
            assert not item.get("stringData"), key(item)


@pytest.mark.parametrize(("name", "pod"), PODS, ids=[name for name, _ in PODS])
def test_pods_are_not_root_and_have_a_seccomp_profile(name: str, pod: dict[str, Any]) -> None:
    context = pod["securityContext"]
    if name not in ON_NODES:
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize(("name", "container"), CONTAINERS, ids=[name for name, _ in CONTAINERS])
def test_containers_have_no_privileges(name: str, container: dict[str, Any]) -> None:
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"]["drop"] == ["ALL"]
    assert name in ON_NODES or "add" not in context["capabilities"]


@pytest.mark.parametrize(("name", "container"), CONTAINERS, ids=[name for name, _ in CONTAINERS])
def test_containers_have_requests_and_probes(name: str, container: dict[str, Any]) -> None:
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    probes = {"startupProbe", "readinessProbe", "livenessProbe"}
    # A Job's pod comes to its end, or fails.
    assert probes <= set(container) or name in JOBS


def test_all_requests_together_fit_a_laptop_of_8_gib_with_tasks() -> None:
    requests = [container["resources"]["requests"] for name, container in CONTAINERS]
    assert sum(quantity.parse(each["memory"]) for each in requests) <= 2 * 2**30
    assert sum(quantity.parse(each["cpu"]) for each in requests) <= 1


@pytest.mark.parametrize(("name", "container"), CONTAINERS, ids=[name for name, _ in CONTAINERS])
def test_images_are_the_catalogues(name: str, container: dict[str, Any]) -> None:
    assert container["image"] in {image.reference for image in IMAGES.values()}


def test_node_ports_are_those_that_the_services_declare() -> None:
    declared = {port.node_port for service in SERVICES for port in service.host_ports}
    in_files = {
        port["nodePort"]
        for folder in (*FOLDERS, "airflow/celery")
        for item in manifests.load(folder)
        if item["kind"] == "Service"
        for port in item["spec"]["ports"]
        if "nodePort" in port
    }
    assert in_files == declared


def test_a_port_forward_targets_an_existing_service() -> None:
    offered = {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}:{port['port']}"
        for folder in (*FOLDERS, "airflow/celery")
        for item in manifests.load(folder)
        if item["kind"] == "Service"
        for port in item["spec"]["ports"]
    }
    assert {port.target for service in SERVICES for port in service.host_ports} <= offered


def test_the_jobset_definition_has_no_descriptions_in_its_schema() -> None:
    (definition,) = (
        item for item in manifests.load("jobset") if item["kind"] == "CustomResourceDefinition"
    )
    (version,) = definition["spec"]["versions"]
    assert not list(_descriptions(version["schema"]["openAPIV3Schema"]))


def test_labels_of_a_jobsets_pods_are_part_of_its_definition() -> None:
    (definition,) = (
        item for item in manifests.load("jobset") if item["kind"] == "CustomResourceDefinition"
    )
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for step in ("spec", "replicatedJobs", "template", "spec", "template", "metadata"):
        schema = schema["properties"][step]
        schema = schema.get("items", schema)
    assert {"labels", "annotations"} <= set(schema["properties"])


def test_pods_that_are_no_jobsets_start_while_its_controller_is_down() -> None:
    for item in manifests.load("jobset"):
        for hook in item.get("webhooks", []):
            if hook["rules"][0]["resources"] == ["pods"]:
                (expression,) = hook["objectSelector"]["matchExpressions"]
                assert expression["key"] == "jobset.sigs.k8s.io/jobset-name"


def test_no_role_has_wildcards() -> None:
    for folder in FOLDERS:
        for item in manifests.load(folder):
            for rule in item.get("rules", []):
                assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


def _descriptions(schema: Any) -> Iterator[str]:
    """Return the descriptions of a schema, but not fields of that name."""
    if isinstance(schema, list):
        for item in schema:
            yield from _descriptions(item)
    if isinstance(schema, dict):
        if isinstance(schema.get("description"), str):
            yield schema["description"]
        for value in schema.values():
            yield from _descriptions(value)


@pytest.mark.parametrize(("name", "container"), CONTAINERS, ids=[name for name, _ in CONTAINERS])
def test_probes_wait_longer_than_a_busy_machine_takes(name: str, container: dict[str, Any]) -> None:
    """Kubernetes' default is one second; a Service whose only pod is unready has no endpoint."""
    probes = {kind: container[kind] for kind in container if kind.endswith("Probe")}
    short = [kind for kind, probe in probes.items() if probe.get("timeoutSeconds", 1) < 5]
    assert not short, name
