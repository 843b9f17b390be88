"""The web server under a host and path: `base_url`, and the routes to it."""

from __future__ import annotations

import configparser
from typing import Any

import pytest

from devstack.kube.client import Object
from devstack.kube.resources import GATEWAY
from devstack.services.airflow.address import flower_prefix, host_name, path_prefix
from devstack.services.airflow.config import FILE
from devstack.services.airflow.installation import DEFAULT
from devstack.services.airflow.routes import Entry, backends, find_entry, parse_entry, routes
from devstack.services.airflow.service import AirflowService, connect, url
from devstack.services.base import ServiceContext
from devstack.state import StackState
from tests.fakes.api import FakeApi, definition

SETTINGS = {"base_url": "https://host.example/tools/airflow/"}


def context(api: FakeApi | None = None, **airflow: Any) -> ServiceContext:
    state = StackState("mine", ports={"airflow": 40880}, airflow=airflow)
    return ServiceContext(state, api.client() if api else None)


def gateway(name: str = "public", **listener: Any) -> Object:
    standard = {"name": "web", "protocol": "HTTPS", "port": 443}
    allowed = {"allowedRoutes": {"namespaces": {"from": "All"}}}
    return {
        "apiVersion": GATEWAY,
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": "edge"},
        "spec": {"gatewayClassName": "any", "listeners": [{**standard, **allowed, **listener}]},
    }


def ingress_class(name: str, *, default: bool = False) -> Object:
    marks = {"ingressclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name, "annotations": marks},
        "spec": {"controller": "example.com/any"},
    }


@pytest.fixture
def api() -> FakeApi:
    fake = FakeApi()
    fake.add(definition(GATEWAY, "Gateway"), definition(GATEWAY, "HTTPRoute"))
    return fake


def test_paths_and_host_come_from_the_setting() -> None:
    assert (path_prefix({}), flower_prefix({})) == ("", "")
    assert path_prefix(SETTINGS) == "/tools/airflow"
    assert flower_prefix(SETTINGS) == "/tools/airflow/flower"
    assert host_name(SETTINGS) == "host.example"
    plain = {"base_url": "http://10.0.0.1:8080"}
    assert (path_prefix(plain), flower_prefix(plain), host_name(plain)) == ("", "/flower", "")


def test_probes_clients_and_airflow_itself_use_the_path() -> None:
    ctx = context(**SETTINGS)
    objects = {
        (each["kind"], each["metadata"]["name"]): each for each in AirflowService().manifests(ctx)
    }
    web = objects["Deployment", "airflow-webserver"]["spec"]["template"]["spec"]["containers"][0]
    probes = {
        web[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert probes == {"/tools/airflow/health"}
    assert url(ctx) == connect(ctx).url == "http://127.0.0.1:40880/tools/airflow"
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(objects["ConfigMap", "airflow-config"]["data"][FILE])
    assert parser["webserver"]["base_url"] == "https://host.example/tools/airflow"
    assert parser["webserver"]["enable_proxy_fix"] == "True"


def test_a_gateway_is_preferred_to_an_ingress_class(api: FakeApi) -> None:
    api.add(ingress_class("a"))
    assert find_entry(api.client(), SETTINGS, DEFAULT) == Entry("Ingress", "a")
    api.add(gateway())
    assert find_entry(api.client(), SETTINGS, DEFAULT) == Entry("HTTPRoute", "edge/public")


def test_the_default_ingress_class_is_preferred() -> None:
    fake = FakeApi()
    fake.add(ingress_class("a"), ingress_class("b", default=True))
    assert find_entry(fake.client(), SETTINGS, DEFAULT) == Entry("Ingress", "b")


@pytest.mark.parametrize(
    ("listener", "accepts"),
    [
        ({"hostname": "*.example"}, True),
        ({"hostname": "host.example"}, True),
        ({"hostname": "other.example"}, False),
        ({"protocol": "TCP"}, False),
        ({"allowedRoutes": {"namespaces": {"from": "Same"}}}, False),
        ({"allowedRoutes": {}}, False),
        (
            {
                "allowedRoutes": {
                    "namespaces": {
                        "from": "Selector",
                        "selector": {"matchLabels": {"kubernetes.io/metadata.name": "airflow"}},
                    }
                }
            },
            True,
        ),
    ],
)
def test_a_gateway_must_accept_host_and_namespace(
    api: FakeApi, listener: dict[str, Any], accepts: bool
) -> None:
    api.add(gateway(**listener))
    assert bool(find_entry(api.client(), SETTINGS, DEFAULT).kind) == accepts


def test_a_listener_with_tls_does_not_serve_plain_http(api: FakeApi) -> None:
    api.add(gateway())
    assert find_entry(api.client(), {"base_url": "http://host.example"}, DEFAULT) == Entry()


def test_an_http_route_leads_to_each_service() -> None:
    entry = parse_entry("HTTPRoute edge/public")
    web, flower = routes(SETTINGS, entry, DEFAULT, backends(SETTINGS, flower=True))
    assert web["spec"] == {
        "parentRefs": [
            {
                "group": "gateway.networking.k8s.io",
                "kind": "Gateway",
                "namespace": "edge",
                "name": "public",
            }
        ],
        "hostnames": ["host.example"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/tools/airflow"}}],
                "backendRefs": [{"name": "airflow", "port": 8080}],
            }
        ],
    }
    [rule] = flower["spec"]["rules"]
    assert rule["matches"][0]["path"]["value"] == "/tools/airflow/flower"
    assert rule["backendRefs"] == [{"name": "airflow-flower", "port": 5555}]


def test_an_ingress_leads_to_the_web_server() -> None:
    [ingress] = routes(SETTINGS, parse_entry("Ingress nginx"), DEFAULT, backends(SETTINGS))
    [rule] = ingress["spec"]["rules"]
    assert (ingress["spec"]["ingressClassName"], rule["host"]) == ("nginx", "host.example")
    [path] = rule["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/tools/airflow", "Prefix")
    assert ingress["spec"]["tls"] == [{"hosts": ["host.example"]}]


def test_up_detects_the_entry_and_says_if_there_is_none() -> None:
    fake, service = FakeApi(), AirflowService()
    ctx = context(fake, **SETTINGS)
    assert not service.capabilities_detected(ctx)
    assert "http://127.0.0.1:40880/tools/airflow serves it" in service.adapt(ctx)
    assert not service.capabilities_detected(ctx)
    assert not [each for each in service.manifests(ctx) if each["kind"] == "Ingress"]
    fake.add(ingress_class("nginx"))
    assert service.adapt(ctx) == ""
    assert service.capabilities_detected(ctx)
    assert [each for each in service.manifests(ctx) if each["kind"] == "Ingress"]
    ctx.state.airflow = {}
    assert ingresses(service.leftovers(ctx)) == ["airflow-flower", "airflow"]
    assert service.capabilities_detected(context())


def test_flowers_route_goes_with_celery() -> None:
    fake, service = FakeApi(), AirflowService()
    fake.add(ingress_class("nginx"))
    ctx = context(fake, **{**SETTINGS, "executor": "LocalExecutor"})
    service.adapt(ctx)
    assert ingresses(service.manifests(ctx)) == ["airflow"]
    assert ingresses(service.leftovers(ctx)) == ["airflow-flower"]


def ingresses(objects: list[Object]) -> list[str]:
    return [each["metadata"]["name"] for each in objects if each["kind"] == "Ingress"]
