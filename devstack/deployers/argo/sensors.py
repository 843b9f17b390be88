"""Sensors: what starts a deployed flow when an event is published."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from devstack.deployers.base import Note
from devstack.kube import manifests
from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient, Object
from devstack.kube.resources import ARGO
from devstack.kube.times import parse_time
from devstack.services.argo_events import (
    SENSOR_LABEL,
    SENSORS,
    deployments_of,
    observe_pods_of,
)
from devstack.stack import Stack
from devstack.waits import Observation, Ready, Waiting, wait_until

KIND = "Sensor"
CHECKSUM = "devstack.dev/checksum"
"""On a sensor's pods: the checksum of the sensor that they run."""

READY_TIMEOUT = 120.0
"""Seconds within which a sensor receives events."""

_SUBSCRIBED = "Subscribing to subject"
"""What a sensor logs when it subscribes (argo-events: pkg/eventbus/jetstream/sensor)."""
_SETTLED = 60.0
"""Seconds after which a running sensor has subscribed; the beginning of its log may be gone."""
_LOG_BYTES = 200_000


def sensor_name(template: str) -> str:
    """Return the name of a deployment's sensor, as Metaflow names it: without dots."""
    return template.replace(".", "-")


def build_sensor(sensor: Mapping[str, Any]) -> Object:
    """Return a sensor as Metaflow compiled it, in the namespace that the controller watches.

    Releases of Metaflow without METAFLOW_ARGO_EVENTS_SENSOR_NAMESPACE compile it for the task
    namespace. A checksum tells whether the sensor's pods run this version of it.
    """
    built = {**copy.deepcopy(dict(sensor)), "apiVersion": ARGO, "kind": KIND}
    built["metadata"]["namespace"] = SENSORS
    metadata = built["spec"]["template"].setdefault("metadata", {})
    annotations = metadata.setdefault("annotations", {})
    annotations[CHECKSUM] = manifests.checksum(sensor["spec"])
    return built


def wait_for_sensor(stack: Stack, name: str, note: Note) -> None:
    """Wait until a sensor receives events; an event that is published earlier would be lost.

    Args:
        stack: the stack.
        name: the sensor.
        note: shows the progress.

    Raises:
        DevstackError: ``WAIT_TIMEOUT``, or the code of the reason why its pod cannot start.
    """
    note("the sensor starts")
    wait_until(
        lambda: _observe(stack.kube(), name),
        what=f"the sensor {name} to receive events",
        timeout=min(stack.spec.timeout, READY_TIMEOUT),
        clock=stack.clock,
        interval=0.5,
        note=note,
        remedy=f"devstack kubectl --admin logs -n {SENSORS} -l {SENSOR_LABEL}={name}; "
        "then deploy it again",
    )


def _observe(kube: KubeClient, name: str) -> Observation:
    live = kube.find(ARGO, KIND, name, SENSORS) or {}
    wanted = _checksum(live.get("spec", {}).get("template", {}))
    observation = observe_pods_of(kube, KIND, name)
    if not isinstance(observation, Ready):
        return observation
    (deployment, *_) = deployments_of(kube, KIND, name)
    if _checksum(deployment["spec"]["template"]) != wanted:
        return Waiting(f"the controller has not read the new version of the sensor {name} yet")
    pods = [pod for pod in _pods(kube, name) if _checksum(pod) == wanted]
    if any(_has_subscribed(kube, pod) for pod in pods):
        return Ready()
    return Waiting(f"the sensor {name} has not subscribed to the event bus yet")


def _checksum(holder: Mapping[str, Any]) -> str:
    annotations = holder.get("metadata", {}).get("annotations") or {}
    return str(annotations.get(CHECKSUM, ""))


def _pods(kube: KubeClient, name: str) -> list[Object]:
    return kube.list_objects("v1", "Pod", SENSORS, labels=f"{SENSOR_LABEL}={name}")


def _has_subscribed(kube: KubeClient, pod: Object) -> bool:
    metadata = pod["metadata"]
    for status in pod.get("status", {}).get("containerStatuses") or []:
        started = status.get("state", {}).get("running", {}).get("startedAt")
        if started and _age(started) > _SETTLED:
            return True
    try:
        return _SUBSCRIBED in kube.log_start(metadata["name"], SENSORS, _LOG_BYTES)
    except ApiError:
        return False


def _age(moment: str) -> float:
    return (datetime.now(timezone.utc) - parse_time(moment)).total_seconds()


def delete_sensor(stack: Stack, template: str) -> None:
    """Delete a deployment's sensor, if it has one, and wait until its pods have ended.

    Raises:
        DevstackError: ``WAIT_TIMEOUT``.
    """
    kube, name = stack.kube(), sensor_name(template)
    if not kube.delete(ARGO, KIND, name, SENSORS):
        return
    wait_until(
        lambda: _observe_deletion(kube, name),
        what=f"the sensor {name} to be deleted",
        timeout=stack.spec.timeout,
        clock=stack.clock,
        interval=0.5,
    )


def _observe_deletion(kube: KubeClient, name: str) -> Observation:
    if kube.find(ARGO, KIND, name, SENSORS):
        return Waiting("the controller of Argo Events has not released it yet")
    if pods := _pods(kube, name):
        return Waiting(f"pod {pods[0]['metadata']['name']} is terminating")
    return Ready()
