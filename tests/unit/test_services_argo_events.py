"""Argo Events as a service: what it applies, its permissions, and what flows get."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cryptography import x509

from devstack.images import versions
from devstack.images.programs import CONTAINERS, PROGRAMS
from devstack.kube.client import Object
from devstack.kube.resources import ARGO, KNOWN
from devstack.kube.workflows import SENSOR_LABEL as RUN_LABEL
from devstack.paths import project_file
from devstack.pools.nodes import POOL_LABEL
from devstack.pools.settings import BASE_POOL
from devstack.services import SERVICES, argo_events
from devstack.services.argo_events import SENSORS, ArgoEventsService
from devstack.services.base import Describes, HasFinalizers, ServiceContext
from devstack.services.selection import disabled_services, enabled_services
from devstack.state import StackState
from devstack.waits import Ready, Waiting
from tests.fakes.api import FakeApi, available, decoded, namespace
from tests.fakes.api_schema import schema_errors, unknown_fields
from tests.unit.test_argo_rights import rules
from tests.unit.test_services_packages import PolicyApi

CONTROLLER, BUS = "argo-events-controller", "argo-events-bus"
IMAGES = {"argo-events": "mirror/argo-events:1", "nats": "mirror/nats:1"}


def context(api: FakeApi | None = None, **state: Any) -> ServiceContext:
    known = {"namespace": "flows", "ports": {"argo-events": 42120}, "images": IMAGES}
    return ServiceContext(StackState("mine", **(known | state)), api.client() if api else None)


def find(ctx: ServiceContext, kind: str, name: str, where: str = "") -> Object:
    (found,) = (
        item
        for item in ArgoEventsService().manifests(ctx)
        if (item["kind"], item["metadata"]["name"]) == (kind, name)
        and where in ("", item["metadata"].get("namespace"))
    )
    return found


def container(name: str) -> Object:
    deployment = find(context(), "Deployment", name)
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    found: Object = only
    return found


def event_source() -> Object:
    found: Object = find(context(), "EventSource", argo_events.WEBHOOK)["spec"]
    return found


def test_it_is_included_on_request_with_argo() -> None:
    assert "argo-events" in disabled_services(SERVICES)
    off = disabled_services(SERVICES, included=["argo-events"])
    names = {service.name for service in enabled_services(SERVICES, off)}
    assert {"argo-events", "argo"} <= names


def test_the_controller_works_in_the_namespace_of_sensors_only() -> None:
    arguments = container(CONTROLLER)["args"]
    assert "--namespaced" in arguments
    assert f"--managed-namespace={SENSORS}" in arguments
    kinds = {item["kind"] for item in ArgoEventsService().manifests(context())}
    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}
    account = (argo_events.NAMESPACE, CONTROLLER)
    assert {where for where, _ in rules(*account)} == {SENSORS}


def test_the_accounts_of_the_service_are_out_of_reach_of_sensors() -> None:
    """Who may write a sensor chooses its account, among those of its namespace."""
    accounts = {
        (item["metadata"]["namespace"], item["metadata"]["name"])
        for item in ArgoEventsService().manifests(context())
        if item["kind"] == "ServiceAccount"
    }
    assert accounts == {
        (argo_events.NAMESPACE, CONTROLLER),
        (SENSORS, argo_events.SENSOR_ACCOUNT),
        (SENSORS, "argo-webhook"),
    }
    enforced = find(context(), "Namespace", SENSORS)["metadata"]["labels"]
    assert enforced["pod-security.kubernetes.io/enforce"] == "baseline"


@pytest.mark.parametrize(
    "account", [(argo_events.NAMESPACE, CONTROLLER), (SENSORS, argo_events.SENSOR_ACCOUNT)]
)
def test_no_account_may_read_secrets_or_grant_rights(account: tuple[str, str]) -> None:
    found = [rule for _, rule in rules(*account)]
    resources = {resource for rule in found for resource in rule["resources"]}
    assert not resources & {"secrets", "*", "roles", "rolebindings", "serviceaccounts/token"}
    assert "*" not in {verb for rule in found for verb in rule["verbs"]}


def test_pods_have_the_stacks_images() -> None:
    assert container(CONTROLLER)["image"] == "mirror/argo-events:1"
    assert container(BUS)["image"] == "mirror/nats:1"
    variables = {each["name"]: each["value"] for each in container(CONTROLLER)["env"]}
    assert variables["ARGO_EVENTS_IMAGE"] == "mirror/argo-events:1"
    assert variables["IMAGE_PULL_POLICY"] == "IfNotPresent"


def adapted() -> ServiceContext:
    """The context of a cluster that `up` has examined."""
    ctx = context(PolicyApi())
    assert ArgoEventsService().adapt(ctx) == ""
    return ctx


def test_webhook_and_sensors_log_in_to_the_bus_and_verify_its_certificate() -> None:
    ctx = adapted()
    bus = find(ctx, "EventBus", argo_events.BUS)["spec"]["jetstreamExotic"]
    assert argo_events.BUS_HOST in bus["url"]
    client = decoded(find(ctx, "Secret", bus["accessSecret"]["name"], SENSORS))
    login = yaml.safe_load(client[bus["accessSecret"]["key"]])
    server = decoded(find(ctx, "Secret", argo_events.BUS_SECRET, argo_events.NAMESPACE))
    assert json.dumps(login["password"]) in server["auth.conf"]
    # A certificate that is its own authority; the key stays with the server.
    assert client[bus["tls"]["caCertSecret"]["key"]] == server["tls.crt"]
    assert "tls.key" not in client
    assert "PRIVATE KEY" in server["tls.key"]
    (name,) = certificate_names(server["tls.crt"])
    assert f"//{name}:" in bus["url"]


def certificate_names(text: str) -> list[str]:
    certificate = x509.load_pem_x509_certificate(text.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return names.value.get_values_for_type(x509.DNSName)


def test_the_bus_has_the_same_certificate_at_each_up() -> None:
    ctx = adapted()
    before = ArgoEventsService().manifests(ctx)
    assert ArgoEventsService().capabilities_detected(ctx)
    del ctx.state.capabilities["argo-events"]
    ArgoEventsService().adapt(ctx)
    assert ArgoEventsService().manifests(ctx) == before


def test_a_stack_without_it_generates_no_certificate() -> None:
    ctx = context()
    ArgoEventsService().manifests(ctx)
    assert "argo-events-certificate" not in ctx.state.credentials


def test_an_event_is_on_disk_before_its_publisher_is_answered() -> None:
    config = find(context(), "ConfigMap", BUS)["data"]["nats.conf"]
    assert "sync_interval: always" in config
    stream = yaml.safe_load(
        find(context(), "EventBus", argo_events.BUS)["spec"]["jetstreamExotic"]["streamConfig"]
    )
    assert stream["replicas"] == 1


def test_only_those_with_the_token_publish_events() -> None:
    ctx = context()
    webhook = event_source()["webhook"][argo_events.EVENT]
    secret = decoded(find(ctx, "Secret", webhook["authSecret"]["name"], SENSORS))
    outputs = ArgoEventsService().outputs(ctx)
    settings = outputs.metaflow
    assert outputs.secrets == {"argo-events-token": secret["token"]}
    assert settings["METAFLOW_ARGO_EVENTS_WEBHOOK_AUTH"] == "service"
    headers = json.loads(settings["METAFLOW_SERVICE_HEADERS"])
    assert headers == {"Authorization": f"Bearer {secret[webhook['authSecret']['key']]}"}
    text = json.dumps(
        [item for item in ArgoEventsService().manifests(ctx) if item["kind"] != "Secret"]
    )
    assert secret["token"] not in text


def test_host_and_pods_have_addresses_of_the_same_webhook() -> None:
    settings = ArgoEventsService().outputs(context()).metaflow
    webhook = event_source()["webhook"][argo_events.EVENT]
    assert settings["METAFLOW_ARGO_EVENTS_WEBHOOK_URL"] == (
        f"http://127.0.0.1:42120{webhook['endpoint']}"
    )
    service = find(context(), "Service", argo_events.WEBHOOK)
    (port,) = service["spec"]["ports"]
    assert settings["METAFLOW_ARGO_EVENTS_INTERNAL_WEBHOOK_URL"] == (
        f"http://{argo_events.WEBHOOK}.{SENSORS}.svc.cluster.local:{port['port']}"
        f"{webhook['endpoint']}"
    )
    assert str(port["targetPort"]) == webhook["port"]
    # pkg/reconciler/eventsource/controller.go
    assert service["spec"]["selector"] == {
        "controller": "eventsource-controller",
        argo_events.WEBHOOK_LABEL: argo_events.WEBHOOK,
    }


def test_submitters_may_do_what_metaflow_calls_and_sensors_start_workflows() -> None:
    submitter = dict(permissions("metaflow-submitter", "metaflow"))
    assert submitter["sensors"] >= {"create", "get", "update", "delete"}
    sensor = dict(permissions(argo_events.SENSOR_ACCOUNT, SENSORS))
    assert sensor == {"workflows": {"create", "get", "patch"}}


def permissions(account: str, where: str) -> Iterator[tuple[str, set[str]]]:
    found: dict[str, set[str]] = {}
    for namespaced, rule in rules(where, account):
        if account == "metaflow-submitter" and namespaced != SENSORS:
            continue
        for resource in rule["resources"]:
            found.setdefault(resource, set()).update(rule["verbs"])
    yield from found.items()


def test_the_objects_are_valid_and_the_kinds_are_defined() -> None:
    objects = ArgoEventsService().manifests(context())
    defined = {
        item["spec"]["names"]["kind"]: item["spec"]
        for item in objects
        if item["kind"] == "CustomResourceDefinition"
    }
    assert set(defined) == set(argo_events.KINDS)
    for kind, spec in defined.items():
        assert KNOWN[ARGO, kind].plural == spec["names"]["plural"]
        # The controller writes the status by itself.
        assert spec["versions"][0]["subresources"] == {"status": {}}
    for item in objects:
        if item["kind"] not in defined:
            assert schema_errors(item) == unknown_fields(item) == [], item["metadata"]["name"]


def test_webhook_and_sensors_run_on_nodes_that_stay() -> None:
    text = json.dumps(event_source()["template"]["affinity"])
    policy = json.dumps(find(context(), "MutatingAdmissionPolicy", "argo-events.devstack.dev"))
    for where in (text, policy):
        assert POOL_LABEL in where
        assert BASE_POOL in where


def test_a_run_that_a_sensor_patches_has_the_label_of_one_that_it_creates() -> None:
    policy = json.dumps(find(context(), "MutatingAdmissionPolicy", "argo-events.devstack.dev"))
    assert f'{{\\"{RUN_LABEL}\\": object.metadata.name}}' in policy


def test_without_admission_policies_up_warns_and_applies_none() -> None:
    ctx = context(PolicyApi(kinds=[]))
    service = ArgoEventsService()
    assert not service.capabilities_detected(ctx)
    assert "may be lost" in service.adapt(ctx)
    assert service.capabilities_detected(ctx)
    assert not [
        item for item in service.manifests(ctx) if item["kind"].startswith("MutatingAdmission")
    ]


def references() -> Iterator[tuple[str, str]]:
    """Where versions are stated, apart from versions.py."""
    text = (CONTAINERS / "argo-events" / "go.mod").read_text()
    for module in ("github.com/argoproj/argo-events", "github.com/nats-io/nats-server/v2"):
        (line,) = (each for each in text.splitlines() if f"{module} v" in each)
        yield module, line.split(f"{module} ")[1].split()[0]
    for file in ("controller", "bus"):
        for line in project_file("k8s", "argo-events", f"{file}.yaml").read_text().splitlines():
            if "devstack/" in line and ":v" in line:
                yield file, line.rpartition(":")[2]


def test_one_version_is_compiled_and_run() -> None:
    assert {found for _, found in references()} == {versions.ARGO_EVENTS, versions.NATS}


def test_resetting_a_trigger_knows_time_zones() -> None:
    (tags,) = (flag for flag in PROGRAMS["argo-events"].flags if flag.startswith("-tags="))
    assert "timetzdata" in tags.split(",")
    assert PROGRAMS["argo-events"].flags == PROGRAMS["nats-server"].flags


def webhook_deployment() -> Object:
    made = available("argo-events-webhook-eventsource-x2k9q", SENSORS)
    made["metadata"]["labels"] = {argo_events.WEBHOOK_LABEL: argo_events.WEBHOOK}
    return made


def source(**condition: str) -> Object:
    conditions = [{"type": "Deployed", "status": "True", **condition}]
    return {
        "apiVersion": ARGO,
        "kind": "EventSource",
        "metadata": {"name": argo_events.WEBHOOK, "namespace": SENSORS},
        "status": {"conditions": conditions},
    }


@pytest.fixture
def api() -> FakeApi:
    up = FakeApi()
    up.add(*(available(name, argo_events.NAMESPACE) for name in argo_events.DEPLOYMENTS))
    up.add(namespace(SENSORS), source(), webhook_deployment())
    return up


def test_it_is_ready_when_bus_controller_and_webhook_run(api: FakeApi) -> None:
    ctx = context(api)
    assert ArgoEventsService().observe(ctx) == Ready()
    api.add(source(status="False", message="EventBus not ready."))
    observation = ArgoEventsService().observe(ctx)
    assert observation == Waiting(
        f"EventSource {SENSORS}/{argo_events.WEBHOOK}: EventBus not ready."
    )


def test_a_mapped_port_has_to_answer(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, str]] = []

    def answers(port: int, path: str) -> bool:
        asked.append((port, path))
        return len(asked) > 1

    monkeypatch.setattr("devstack.services.argo_events.answers", answers)
    ctx = context(api, mapped_ports=["argo-events"])
    assert isinstance(ArgoEventsService().observe(ctx), Waiting)
    assert ArgoEventsService().observe(ctx) == Ready()
    assert asked[0] == (42120, "/health")


def test_users_sensors_are_released_before_the_controller_is_removed(api: FakeApi) -> None:
    mine = {
        "apiVersion": ARGO,
        "kind": "Sensor",
        "metadata": {"name": "mine", "namespace": SENSORS, "finalizers": ["sensor-controller"]},
    }
    api.add(mine)
    service = ArgoEventsService()
    assert isinstance(service, HasFinalizers)
    service.release(context(api))
    assert api.client().list_objects(ARGO, "Sensor", SENSORS) == []
    assert api.client().list_objects(ARGO, "EventSource", SENSORS) == []
    # Again, with nothing left.
    service.release(context(api))


def test_status_names_a_sensor_that_does_not_run(api: FakeApi) -> None:
    metadata = {"name": "mine", "namespace": SENSORS}
    api.add({"apiVersion": ARGO, "kind": "Sensor", "metadata": metadata})
    service = ArgoEventsService()
    assert isinstance(service, Describes)
    text = service.describe(context(api))
    assert text.startswith("1 sensors; mine: the controller has not started")
    api.client().delete(ARGO, "Sensor", "mine", SENSORS)
    assert service.describe(context(api)) == "0 sensors"
