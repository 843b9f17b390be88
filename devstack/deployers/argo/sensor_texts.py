"""The texts of events in a sensor, so that the run that it starts gets them exactly.

A sensor puts parts of an event's payload into the parameters of a workflow, with templates of Go
and their functions (argo-events, pkg/sensors/triggers/params.go). In the workflow, Argo replaces
``{{...}}``. Imported in the user's Python.
"""

from __future__ import annotations

import re
from typing import Any

_WITHOUT_TAGS = r' | replace "{{" "{\\u007b"'
"""For JSON: of two braces, one is an escape sequence, as in ``parameters.without_tags``."""

_WITHOUT_DOLLARS = r' | replace "$" "\\u0024"'
"""For JSON that becomes a variable as it is: the kubelet replaces ``$$`` and ``$(NAME)``."""

_PAYLOAD = "body.payload"
_WHOLE = '{{ get $.Input.body "payload" | toRawJson' + _WITHOUT_TAGS + _WITHOUT_DOLLARS + " }}"
_JSON = re.compile(r"\|\s*to(?:Raw)?Json(?=\)?\s*-?\}\})")
"""The end of an expression that yields JSON, in Metaflow's templates."""


def protect_event_texts(sensor: dict[str, Any]) -> None:
    """Keep Argo and the kubelet from replacing parts of an event's texts.

    Args:
        sensor: the Sensor as Metaflow compiles it (argo_workflows.py, _compile_sensor).
    """
    for trigger in sensor["spec"].get("triggers") or []:
        for parameter in trigger["template"].get("k8s", {}).get("parameters") or []:
            _protect(parameter["src"])


def _protect(source: dict[str, Any]) -> None:
    if source.get("dataKey") == _PAYLOAD:
        # All of it, for `current.trigger`: a variable of the pods that begin a run.
        del source["dataKey"]
        source["dataTemplate"] = _WHOLE
    elif template := source.get("dataTemplate"):
        source["dataTemplate"] = _JSON.sub(lambda found: found[0] + _WITHOUT_TAGS, template)
