"""Argo Events: starts flows with ``@trigger`` and ``@trigger_on_finish`` when events occur."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from devstack.kube import manifests
from devstack.kube.api_errors import NotFoundError
from devstack.kube.client import KubeClient, Object
from devstack.kube.policies import NEEDED
from devstack.kube.readiness import observe_deployment
from devstack.kube.resources import APPS, ARGO
from devstack.ports import LOOPBACK
from devstack.services.base import HostPort, Manifest, Outputs, Service, ServiceContext
from devstack.services.certificates import build_serving_certificate
from devstack.services.http_probe import answers
from devstack.services.policies import detect_policy_api, in_served_api
from devstack.waits import Failed, Observation, Ready, Waiting

NAMESPACE = "argo-events"
SENSORS = "argo-sensors"
"""The namespace of the webhook and of sensors."""

DEPLOYMENTS = ("argo-events-bus", "argo-events-controller")
BUS = "default"
WEBHOOK, EVENT = "argo-events-webhook", "metaflow-event"
"""The event source, and the event of it that Metaflow publishes; also the path of its URL."""

SENSOR_ACCOUNT = "argo-sensor"
SENSOR_LABEL, WEBHOOK_LABEL = "sensor-name", "eventsource-name"
"""The controller labels Deployments and pods with the name of the object they are for."""

BUS_HOST = f"argo-events-bus.{NAMESPACE}.svc.cluster.local"
BUS_SECRET = "argo-events-bus"  # noqa: S105 - the Secret's name
WEBHOOK_SECRET = "argo-events-webhook"  # noqa: S105 - the Secret's name
PORT = "argo-events"
KINDS = ("Sensor", "EventSource", "EventBus")
"""What the controller puts a finalizer on, in order of deletion."""

POLICY, NO_POLICY = "policy", "no policy"
"""Whether sensors get what Metaflow's lack; recorded as the cluster's capability."""

_NAMESPACE = "metaflow"
"""The task namespace in the files below k8s/."""
_BUS_USER = "argo-events"
_CERTIFICATE, _KEY = "argo-events-certificate", "argo-events-key"
_ADMISSION = "MutatingAdmissionPolicy"
_IMAGE = "argo-events"


class ArgoEventsService(Service):
    """The controller for the namespace of sensors, an event bus, and a webhook."""

    name = "argo-events"
    about = "Argo Events: starts flows on Argo when events occur; built when first included"
    needs = ("argo",)
    optional = True
    enabled_by_default = False
    images = ("argo-events", "nats")
    host_ports = (
        HostPort(PORT, 12000, 30120, f"{SENSORS}/{WEBHOOK}:12000", "Argo Events (publish)"),
    )

    def capabilities_detected(self, ctx: ServiceContext) -> bool:
        """Return True if the state records what the cluster supports, and the bus's certificate."""
        return self.name in ctx.state.capabilities and _CERTIFICATE in ctx.state.credentials

    def adapt(self, ctx: ServiceContext) -> str:
        """Detect whether the cluster has admission policies; return a warning if not.

        It also generates the bus's certificate: a stack without Argo Events needs none.
        """
        _ensure_certificate(ctx)
        supported = bool(detect_policy_api(ctx))
        ctx.state.capabilities[self.name] = POLICY if supported else NO_POLICY
        if supported:
            return ""
        return (
            "argo-events: an event may be lost, or start a flow twice, if the API or the event bus "
            f"fails at that moment: Kubernetes {ctx.api.version()} does not serve {NEEDED}"
        )

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/argo-events, and the Secrets of bus and webhook."""
        objects = manifests.with_namespace(
            manifests.load(self.name), _NAMESPACE, ctx.state.namespace
        )
        objects = manifests.with_images(objects, ctx.state.images)
        objects = [_with_pod_image(item, ctx) for item in in_served_api(objects, ctx)]
        if not self._has_policy(ctx):
            objects = [item for item in objects if not item["kind"].startswith(_ADMISSION)]
        namespaces = [item for item in objects if item["kind"] == "Namespace"]
        rest = [item for item in objects if item["kind"] != "Namespace"]
        bus = _bus_settings(ctx)
        secrets = [
            manifests.secret(BUS_SECRET, NAMESPACE, bus),
            manifests.secret(BUS_SECRET, SENSORS, _client_settings(ctx)),
            manifests.secret(WEBHOOK_SECRET, SENSORS, {"token": _token(ctx)}),
        ]
        configs = [item["data"] for item in rest if item["kind"] == "ConfigMap"]
        settings = {"configs": json.dumps(configs), **bus}
        return [*namespaces, *secrets, *manifests.with_restarts(rest, settings)]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether bus, controller and webhook run, and new sensors get what they lack."""
        for name in DEPLOYMENTS:
            observation = observe_deployment(ctx.api, NAMESPACE, name)
            if not isinstance(observation, Ready):
                return observation
        observation = observe_pods_of(ctx.api, "EventSource", WEBHOOK)
        if not isinstance(observation, Ready):
            return observation
        if ctx.is_mapped(PORT) and not answers(ctx.state.ports.get(PORT, 0), "/health"):
            return Waiting(f"the webhook does not respond on {LOOPBACK} yet")
        return self._observe_policy(ctx)

    def _observe_policy(self, ctx: ServiceContext) -> Observation:
        if not self._has_policy(ctx) or not ctx.needs_probe:
            return Ready()
        created = ctx.api.create(_build_probe(), dry_run=True)
        if created["spec"]["triggers"][0].get("atLeastOnce"):
            return Ready()
        return Waiting("the API server does not apply the policy of sensors yet")

    def release(self, ctx: ServiceContext) -> None:
        """Delete sensors, event sources and the bus without waiting for the controller.

        It puts a finalizer on each of them. Without it, neither they nor their namespace and
        definitions could be deleted.
        """
        for kind in KINDS:
            for item in _list(ctx.api, kind):
                _release(ctx.api, kind, item["metadata"]["name"])

    def describe(self, ctx: ServiceContext) -> str:
        """Return the number of sensors, and the first one that does not run."""
        text = f"{len(_list(ctx.api, 'Sensor'))} sensors"
        stopped = [f"; {name}: {why.reason}" for name, why in find_stopped_sensors(ctx.api).items()]
        return text + (stopped[0] if stopped else "")

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return Metaflow's settings for publishing events, and for sensors."""
        token = _token(ctx)
        headers = {"Authorization": f"Bearer {token}"}
        return Outputs(
            metaflow={
                "METAFLOW_ARGO_EVENTS_EVENT": EVENT,
                "METAFLOW_ARGO_EVENTS_EVENT_BUS": BUS,
                "METAFLOW_ARGO_EVENTS_EVENT_SOURCE": WEBHOOK,
                "METAFLOW_ARGO_EVENTS_SENSOR_NAMESPACE": SENSORS,
                "METAFLOW_ARGO_EVENTS_SERVICE_ACCOUNT": SENSOR_ACCOUNT,
                "METAFLOW_ARGO_EVENTS_WEBHOOK_URL": url(ctx),
                "METAFLOW_ARGO_EVENTS_INTERNAL_WEBHOOK_URL": (
                    f"http://{WEBHOOK}.{SENSORS}.svc.cluster.local:12000/{EVENT}"
                ),
                # The headers of requests to the metadata service, which ignores this one.
                "METAFLOW_ARGO_EVENTS_WEBHOOK_AUTH": "service",
                "METAFLOW_SERVICE_HEADERS": json.dumps(headers),
            },
            urls={PORT: url(ctx)},
            secrets={"argo-events-token": token},
        )

    def _has_policy(self, ctx: ServiceContext) -> bool:
        return ctx.state.capabilities.get(self.name) != NO_POLICY


def url(ctx: ServiceContext) -> str:
    """Return the address on the host at which events are published."""
    return f"http://{LOOPBACK}:{ctx.state.ports.get(PORT, 0)}/{EVENT}"


def observe_pods_of(kube: KubeClient, kind: str, name: str) -> Observation:
    """Return whether the pods of a sensor or an event source run.

    Args:
        kube: the API.
        kind: ``Sensor`` or ``EventSource``.
        name: its name.

    Returns:
        Waiting with what the controller says as long as there is no Deployment; then what
        :func:`devstack.kube.readiness.observe_deployment` returns.
    """
    live = kube.find(ARGO, kind, name, SENSORS)
    if live is None:
        return Waiting(f"{kind} {SENSORS}/{name} does not exist yet")
    for condition in (live.get("status") or {}).get("conditions") or []:
        if condition["status"] == "False":
            return Waiting(f"{kind} {SENSORS}/{name}: {condition.get('message', '')}")
    owned = deployments_of(kube, kind, name)
    if not owned:
        return Waiting(f"the controller has not started {kind} {SENSORS}/{name} yet")
    return observe_deployment(kube, SENSORS, owned[0]["metadata"]["name"])


def find_stopped_sensors(kube: KubeClient) -> dict[str, Waiting | Failed]:
    """Return why sensors do not run, by their names."""
    found = {}
    for item in _list(kube, "Sensor"):
        name = str(item["metadata"]["name"])
        observation = observe_pods_of(kube, "Sensor", name)
        if not isinstance(observation, Ready):
            found[name] = observation
    return found


def deployments_of(kube: KubeClient, kind: str, name: str) -> list[Object]:
    """Return the Deployments that the controller has created for an object; one if all is well."""
    label = SENSOR_LABEL if kind == "Sensor" else WEBHOOK_LABEL
    return kube.list_objects(APPS, "Deployment", SENSORS, labels=f"{label}={name}")


def _list(kube: KubeClient, kind: str) -> list[Object]:
    try:
        return kube.list_objects(ARGO, kind, SENSORS)
    except NotFoundError:
        return []


def _release(kube: KubeClient, kind: str, name: str) -> None:
    """Delete an object, then remove its finalizers: once it is being deleted, none are added."""
    try:
        kube.delete(ARGO, kind, name, SENSORS)
        kube.patch(ARGO, kind, name, {"metadata": {"finalizers": None}}, SENSORS)
    except NotFoundError:
        return  # The controller was faster.


def _token(ctx: ServiceContext) -> str:
    return ctx.state.credential("argo-events-webhook")


def _bus_settings(ctx: ServiceContext) -> dict[str, str]:
    """Return the server's login, and its certificate and key, which the state records."""
    credentials = ctx.state.credentials
    login = json.dumps({"user": _BUS_USER, "password": _password(ctx)})
    return {
        "auth.conf": f"authorization: {login}\n",
        "tls.crt": credentials.get(_CERTIFICATE, ""),
        "tls.key": credentials.get(_KEY, ""),
    }


def _ensure_certificate(ctx: ServiceContext) -> None:
    credentials = ctx.state.credentials
    if _CERTIFICATE not in credentials or _KEY not in credentials:
        created = build_serving_certificate(BUS_HOST)
        credentials[_CERTIFICATE], credentials[_KEY] = created.certificate, created.key


def _client_settings(ctx: ServiceContext) -> dict[str, str]:
    """Return what webhook and sensors need to use the bus; JSON is YAML."""
    login = {"username": _BUS_USER, "password": _password(ctx)}
    return {"auth.yaml": json.dumps(login), "ca.crt": ctx.state.credentials.get(_CERTIFICATE, "")}


def _password(ctx: ServiceContext) -> str:
    return ctx.state.credential("argo-events-bus")


def _with_pod_image(item: Manifest, ctx: ServiceContext) -> Manifest:
    """Return the controller with the image of the pods that it starts; others unchanged."""
    if item["kind"] != "Deployment":
        return item
    changed = copy.deepcopy(item)
    (container,) = changed["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        if variable["name"] == "ARGO_EVENTS_IMAGE":
            variable["value"] = ctx.state.images.get(_IMAGE, variable["value"])
    return changed


def _build_probe() -> Manifest:
    """Return a sensor as Metaflow writes it, without what the policy does not read."""
    resource: Mapping[str, Any] = {"apiVersion": ARGO, "kind": "Workflow", "metadata": {}}
    trigger = {"name": "probe", "k8s": {"source": {"resource": resource}, "parameters": []}}
    return {
        "apiVersion": ARGO,
        "kind": "Sensor",
        "metadata": {
            "name": "devstack-probe",
            "namespace": SENSORS,
            "labels": {"app.kubernetes.io/name": "metaflow-sensor"},
        },
        "spec": {
            "dependencies": [{"name": "probe", "eventSourceName": WEBHOOK, "eventName": EVENT}],
            "template": {"container": {}},
            "triggers": [{"template": trigger}],
        },
    }
