from __future__ import annotations

import functools

import pytest
import starlark

from devstack.images.catalogue import IMAGES
from devstack.paths import project_file
from devstack.samples.catalogue import SAMPLES
from devstack.services import SERVICES
from tests.support.tilt import TRIGGER_MODE_MANUAL, Tilt, documents

LOCAL = ["kind-devstack-devstack", "kind-other", "k3d-mine", "minikube", "docker-desktop"]
REMOTE = ["production", "gke_shop_europe_main", "arn:aws:eks:eu-west-1:1:cluster/x", "minikube-2"]


SERVED = [
    service for service in SERVICES if service.enabled_by_default and not service.own_nodes_only
]


@functools.cache
def tilt_up(context: str = "kind-devstack-devstack", stack: str = "") -> Tilt:
    arguments = {"stack": stack} if stack else {}
    return Tilt(context, arguments).run(project_file("Tiltfile"))


@pytest.mark.parametrize("context", LOCAL)
def test_a_local_context_is_accepted(context: str) -> None:
    assert tilt_up(context).allowed == [context]


@pytest.mark.parametrize("context", REMOTE)
def test_a_remote_context_is_rejected_by_name(context: str) -> None:
    tilt = Tilt(context)
    with pytest.raises(starlark.StarlarkError, match="is not local") as refused:
        tilt.run(project_file("Tiltfile"))
    assert context in str(refused.value)
    assert (tilt.allowed, tilt.objects, tilt.local) == ([], [], {})


def test_every_service_is_served_from_its_own_folder() -> None:
    folders = {path.parent.name for path in project_file("k8s").glob("*/*ization.yaml")}
    assert folders == {each.name for each in SERVICES}
    assert set(tilt_up().folders) == {f"k8s/{each.name}" for each in SERVED}


def test_services_start_after_their_dependencies() -> None:
    served = [folder.removeprefix("k8s/") for folder in tilt_up().folders]
    for service in SERVED:
        for need in service.needs:
            assert served.index(need) < served.index(service.name)


def test_objects_are_those_of_the_files() -> None:
    in_files = [
        (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"])
        for service in SERVED
        for path in project_file("k8s").glob(f"{service.name}/*.*")
        if path.name != "kustomization.yaml"
        for item in documents(path.read_text())
    ]
    served = [
        (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"])
        for item in tilt_up().objects
    ]
    assert sorted(served, key=str) == sorted(in_files, key=str)


def test_images_are_those_of_the_catalogue() -> None:
    containers = [
        container
        for item in tilt_up().objects
        if item["kind"] == "Deployment"
        for container in item["spec"]["template"]["spec"]["containers"]
    ]
    images = {container["image"] for container in containers}
    # Airflow puts a container of its own into the pods that it makes.
    images |= {
        variable["value"]
        for container in containers
        for variable in container.get("env", [])
        if variable["name"] == "DEVSTACK_XCOM_IMAGE"
    }
    assert images == {IMAGES[name].reference for service in SERVED for name in service.images}


def test_no_secret_value_is_served() -> None:
    secrets = [item for item in tilt_up().objects if item["kind"] == "Secret"]
    assert not [item for item in secrets if "data" in item or "stringData" in item]


@pytest.mark.parametrize("kind", ["Namespace", "PersistentVolumeClaim", "Secret"])
def test_tilt_down_keeps_objects_with_data(kind: str) -> None:
    kept = [item for item in tilt_up().objects if item["kind"] == kind]
    assert kept
    for item in kept:
        assert item["metadata"]["annotations"]["tilt.dev/down-policy"] == "keep"


def container_port(service_port: int, target: str) -> int:
    """Return the pod's port behind a Service's port, by way of its name."""
    namespace, _, name = target.partition(":")[0].partition("/")
    objects = tilt_up().objects
    (service,) = [
        item
        for item in objects
        if (item["kind"], item["metadata"]["name"]) == ("Service", name)
        and item["metadata"]["namespace"] == namespace
    ]
    (port,) = [port for port in service["spec"]["ports"] if port["port"] == service_port]
    named = {
        declared["name"]: declared["containerPort"]
        for item in objects
        if item["kind"] == "Deployment"
        for container in item["spec"]["template"]["spec"]["containers"]
        for declared in container.get("ports", [])
    }
    target_port = port.get("targetPort", port["port"])
    return named.get(target_port, target_port)


@pytest.mark.parametrize(("context", "shift"), [("kind-devstack-x", 10000), ("minikube", 0)])
def test_port_forwards_are_the_services_host_ports(context: str, shift: int) -> None:
    expected = {
        (port.preferred + shift, container_port(int(port.target.rpartition(":")[2]), port.target))
        for service in SERVED
        for port in service.host_ports
        # Flower comes with an executor of Celery only.
        if port.name != "flower"
    }
    forwards = [
        each for resource in tilt_up(context).resources.values() for each in resource["forwards"]
    ]
    assert {(each["local"], each["container"]) for each in forwards} == expected
    assert {each["host"] for each in forwards} == {"127.0.0.1"}


def test_every_sample_has_a_manually_triggered_button() -> None:
    assert tilt_up("kind-devstack-mine").local == {
        f"sample-{sample.name}": {
            "cmd": ["devstack", "run", sample.name, "--name", "mine"],
            "trigger_mode": TRIGGER_MODE_MANUAL,
            "auto_init": False,
        }
        for sample in SAMPLES
    }


def test_buttons_use_the_named_stack() -> None:
    commands = [resource["cmd"] for resource in tilt_up("minikube", stack="other").local.values()]
    assert {command[-1] for command in commands} == {"other"}
