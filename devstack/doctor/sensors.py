"""Check of the sensors that start flows when events are published."""

from __future__ import annotations

from devstack.doctor.check import REQUEST_TIMEOUT, Check, Fault, Finding, NotApplicableError
from devstack.services.argo_events import SENSORS, ArgoEventsService, find_stopped_sensors
from devstack.stack import Stack
from devstack.waits import Failed

_STOPPED = "SENSOR_STOPPED"


def _check_sensors(stack: Stack) -> list[Finding]:
    if not any(service.name == ArgoEventsService.name for service in stack.services):
        raise NotApplicableError("the stack has no Argo Events")
    kube = stack.kube(REQUEST_TIMEOUT)
    found = []
    for name, observation in find_stopped_sensors(kube).items():
        remedy = observation.remedy if isinstance(observation, Failed) else ""
        remedy = remedy or f"devstack kubectl --admin get pods -n {SENSORS} -l sensor-name={name}"
        cause = f"events do not start the flow of sensor {name}: {observation.reason}"
        found.append(Finding(cause, remedy, _STOPPED))
    return found


SENSORS_CHECKS = (
    Check(
        "sensors",
        "the sensors of deployed flows run",
        _check_sensors,
        (
            Fault(
                _STOPPED,
                "Events do not start a flow: the pod of its sensor does not run.",
                "Correct what the finding names. Events of the last week are delivered then.",
            ),
        ),
        needs_stack=True,
    ),
)
