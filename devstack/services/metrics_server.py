"""metrics-server, which serves the metrics API to `kubectl top` and autoscalers."""

from __future__ import annotations

from enum import Enum

import yaml

from devstack.kube import manifests
from devstack.kube.client import KubeClient, Object
from devstack.kube.manifests import OWNER_LABEL
from devstack.kube.readiness import observe_deployment
from devstack.kube.resources import REGISTRATION
from devstack.services.base import Manifest, Service, ServiceContext
from devstack.services.certificates import build_serving_certificate
from devstack.waits import Observation, Ready, Waiting

NAMESPACE = "metrics-server"
API = "v1beta1.metrics.k8s.io"
"""The name of the APIService."""

SECRET = "metrics-server"  # noqa: S105 - the Secret's name
CERTIFICATE = "metrics-server-certificate"
KEY = "metrics-server-key"

_NAMESPACE = "metaflow"
"""The task namespace in the files below k8s/."""


class Kubelets(str, Enum):
    """How metrics-server reads the kubelets' metrics."""

    VERIFIED = "verified"
    """The cluster's CA signs their certificates."""

    UNVERIFIED = "unverified"
    """They sign their certificates themselves, which nothing can verify."""

    NOT_READ = "not read"
    """The cluster has a metrics API of its own."""


class MetricsServerService(Service):
    """The metrics API, unless the cluster has one already."""

    name = "metrics-server"
    about = "CPU and memory of nodes and pods, for `kubectl top`"
    needs = ("rbac",)
    optional = True
    images = ("metrics-server",)

    def capabilities_detected(self, ctx: ServiceContext) -> bool:
        """Return True if the state records already how kubelets are read."""
        return self.name in ctx.state.capabilities

    def adapt(self, ctx: ServiceContext) -> str:
        """Detect a metrics API that exists, and the kind of the kubelets' certificates."""
        detected = _detect(ctx.api, ctx.state.name)
        ctx.state.capabilities[self.name] = detected.value
        if detected is Kubelets.UNVERIFIED:
            return "metrics-server: the kubelets' certificates are self-signed, so not verified"
        return ""

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/metrics-server, with a certificate; none if not needed."""
        detected = self._detected(ctx)
        if detected is Kubelets.NOT_READ:
            return []
        certificate = _ensure_certificate(ctx)
        secret = manifests.secret(SECRET, NAMESPACE, certificate)
        objects = manifests.with_namespace(super().manifests(ctx), _NAMESPACE, ctx.state.namespace)
        by_kind = {item["kind"]: item for item in objects}
        by_kind["APIService"]["spec"]["caBundle"] = secret["data"]["tls.crt"]
        if detected is Kubelets.UNVERIFIED:
            pod = by_kind["Deployment"]["spec"]["template"]["spec"]
            pod["containers"][0]["args"].append("--kubelet-insecure-tls")
        namespace, *objects = manifests.with_restarts(objects, certificate)
        return [namespace, secret, *objects]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether the API is served; the first metrics follow within seconds."""
        if self._detected(ctx) is Kubelets.NOT_READ:
            return Ready()
        observation = observe_deployment(ctx.api, NAMESPACE, "metrics-server")
        if not isinstance(observation, Ready):
            return observation
        return _observe_api(ctx.api.find(REGISTRATION, "APIService", API) or {})

    def describe(self, ctx: ServiceContext) -> str:
        """Return why it is off, or what is not verified."""
        return {
            Kubelets.VERIFIED: "",
            Kubelets.UNVERIFIED: "the kubelets' certificates are self-signed, not verified",
            Kubelets.NOT_READ: "off: the cluster has a metrics API of its own",
        }[self._detected(ctx)]

    def _detected(self, ctx: ServiceContext) -> Kubelets:
        return Kubelets(ctx.state.capabilities.get(self.name, Kubelets.VERIFIED))


def _detect(kube: KubeClient, stack: str) -> Kubelets:
    api = kube.find(REGISTRATION, "APIService", API)
    if api and api["metadata"].get("labels", {}).get(OWNER_LABEL) != stack:
        return Kubelets.NOT_READ
    # kubeadm's record of the kubelets' configuration; kind and minikube have it.
    recorded = kube.find("v1", "ConfigMap", "kubelet-config", "kube-system") or {}
    config = yaml.safe_load(recorded.get("data", {}).get("kubelet", "")) or {}
    return Kubelets.VERIFIED if config.get("serverTLSBootstrap") else Kubelets.UNVERIFIED


def _ensure_certificate(ctx: ServiceContext) -> dict[str, str]:
    """Return the serving certificate and key that the state records, new if there are none."""
    credentials = ctx.state.credentials
    if CERTIFICATE not in credentials or KEY not in credentials:
        created = build_serving_certificate(f"metrics-server.{NAMESPACE}.svc")
        credentials[CERTIFICATE], credentials[KEY] = created.certificate, created.key
    return {"tls.crt": credentials[CERTIFICATE], "tls.key": credentials[KEY]}


def _observe_api(api: Object) -> Observation:
    for condition in api.get("status", {}).get("conditions", []):
        if condition["type"] == "Available" and condition["status"] == "True":
            return Ready()
        if condition["type"] == "Available":
            return Waiting(f"APIService {API}: {condition.get('message', 'not available yet')}")
    return Waiting(f"APIService {API} is not available yet")
