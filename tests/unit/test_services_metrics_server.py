from __future__ import annotations

import base64
from typing import Any

import pytest

from devstack.kube.client import Object
from devstack.kube.manifests import with_owner
from devstack.services.base import ServiceContext
from devstack.services.metrics_server import NAMESPACE, MetricsServerService
from devstack.state import StackState
from devstack.waits import Ready, Waiting
from tests.fakes.api import FakeApi, available

SERVICE = MetricsServerService()
VERIFIED = {"metrics-server": "verified"}
UNVERIFIED = {"metrics-server": "unverified"}
NOT_READ = {"metrics-server": "not read"}


def context(api: FakeApi | None = None, **state: Any) -> ServiceContext:
    return ServiceContext(StackState("mine", **state), api.client() if api else None)


def find(ctx: ServiceContext, kind: str) -> Object:
    (found,) = (item for item in SERVICE.manifests(ctx) if item["kind"] == kind)
    return found


def arguments(ctx: ServiceContext) -> list[str]:
    container = find(ctx, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return list(container["args"])


def api_service(status: str = "", message: str = "") -> Object:
    """Return this stack's APIService, with its condition."""
    (made,) = with_owner([find(context(), "APIService")], "mine")
    condition = {"type": "Available", "status": status, "message": message}
    return {**made, "status": {"conditions": [condition] if status else []}}


def cluster(bootstrap: str = "serverTLSBootstrap: true\n") -> FakeApi:
    api = FakeApi()
    config = f"kind: KubeletConfiguration\n{bootstrap}"
    metadata = {"name": "kubelet-config", "namespace": "kube-system"}
    api.add(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"kubelet": config}}
    )
    return api


def adapted(api: FakeApi, **state: Any) -> tuple[ServiceContext, str]:
    ctx = context(api, **state)
    assert not SERVICE.capabilities_detected(ctx)
    warning = SERVICE.adapt(ctx)
    assert SERVICE.capabilities_detected(ctx)
    return ctx, warning


def test_the_api_server_trusts_the_certificate_that_the_pod_serves() -> None:
    ctx = context()
    secret = find(ctx, "Secret")["data"]
    assert find(ctx, "APIService")["spec"]["caBundle"] == secret["tls.crt"]
    assert "insecureSkipTLSVerify" not in find(ctx, "APIService")["spec"]
    assert b"BEGIN PRIVATE KEY" in base64.b64decode(secret["tls.key"])


def test_the_certificate_lasts_as_long_as_the_stack() -> None:
    ctx = context()
    assert SERVICE.manifests(ctx) == SERVICE.manifests(ctx)
    assert find(ctx, "Secret") != find(context(), "Secret")


def test_a_new_certificate_restarts_the_pod() -> None:
    pods = [find(context(), "Deployment")["spec"]["template"] for _ in range(2)]
    assert pods[0]["metadata"]["annotations"] != pods[1]["metadata"]["annotations"]


def test_submitters_of_the_stacks_own_namespace_may_read_metrics() -> None:
    subjects = [
        (subject["name"], subject["namespace"])
        for item in SERVICE.manifests(context(namespace="team-b"))
        for subject in item.get("subjects", [])
    ]
    assert ("metaflow-submitter", "team-b") in subjects
    assert {namespace for _, namespace in subjects} == {"team-b", NAMESPACE}


def test_kubelets_with_certificates_of_the_clusters_authority_are_verified() -> None:
    ctx, warning = adapted(cluster())
    assert warning == SERVICE.describe(ctx) == ""
    assert "--kubelet-insecure-tls" not in arguments(ctx)


@pytest.mark.parametrize(
    "api",
    [cluster(""), cluster("serverTLSBootstrap: false\n"), FakeApi()],
    ids=["default", "off", "no kubeadm"],
)
def test_self_signed_kubelets_are_read_and_reported(api: FakeApi) -> None:
    ctx, warning = adapted(api)
    assert "self-signed" in warning
    assert "self-signed" in SERVICE.describe(ctx)
    assert arguments(ctx)[-1] == "--kubelet-insecure-tls"


def test_an_existing_metrics_api_is_not_changed() -> None:
    api = cluster()
    api.add({**api_service("True"), "metadata": {"name": "v1beta1.metrics.k8s.io"}})
    ctx, warning = adapted(api)
    assert warning == ""
    assert SERVICE.manifests(ctx) == []
    assert SERVICE.observe(ctx) == Ready()
    assert SERVICE.describe(ctx) == "off: the cluster has a metrics API of its own"


def test_another_stacks_metrics_api_is_not_changed() -> None:
    api = cluster()
    (theirs,) = with_owner([api_service("True")], "theirs")
    api.add(theirs)
    ctx, _ = adapted(api)
    assert SERVICE.manifests(ctx) == []


def test_the_stacks_own_metrics_api_is_recognized() -> None:
    api = cluster()
    api.add(api_service("True"))
    ctx, _ = adapted(api)
    assert SERVICE.manifests(ctx)


def test_it_is_ready_when_the_api_server_serves_the_api() -> None:
    api = FakeApi()
    ctx = context(api, capabilities=VERIFIED)
    assert isinstance(SERVICE.observe(ctx), Waiting)
    api.add(available("metrics-server", NAMESPACE))
    assert SERVICE.observe(ctx) == Waiting("APIService v1beta1.metrics.k8s.io is not available yet")
    api.add(api_service("False", "no endpoints"))
    assert SERVICE.observe(ctx) == Waiting("APIService v1beta1.metrics.k8s.io: no endpoints")
    api.add(api_service("True"))
    assert SERVICE.observe(ctx) == Ready()


def test_it_measures_at_the_shortest_interval() -> None:
    assert "--metric-resolution=10s" in arguments(context())
    assert "--kubelet-request-timeout=5s" in arguments(context())
