"""The settings of pods that devstack's Metaflow extension passes in an annotation.

kfp has no call for Secrets of which each key becomes a variable, for the account, and for sizes of
disks, so the extension writes the fields of pod and container in Kubernetes' own words. What is not
listed here is refused: an annotation must not mount folders of the node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kubeflow_pipelines.translation.unsupported import UnsupportedError, require_only

ANNOTATION = "devstack/pod-settings"

_POD = ("serviceAccountName", "nodeSelector", "tolerations", "volumes")
_CONTAINER = (
    "envFrom",
    "imagePullPolicy",
    "ports",
    "resources",
    "securityContext",
    "volumeMounts",
)
_VOLUMES = ("name", "emptyDir", "persistentVolumeClaim")
_PULL_SECRETS = "imagePullSecrets"


def read_settings(where: str, annotations: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings in the annotations of a pod; empty if there are none.

    Raises:
        UnsupportedError: the annotation is no JSON, or has fields that are not supported.
    """
    text = annotations.get(ANNOTATION)
    if not text:
        return {}
    try:
        settings: dict[str, Any] = json.loads(text)
        require_only(where, settings, (*_POD, _PULL_SECRETS, "container"))
        require_only(where, settings.get("container", {}), _CONTAINER)
        for volume in settings.get("volumes", []):
            require_only(where, volume, _VOLUMES)
    except (AttributeError, TypeError, ValueError) as error:
        raise UnsupportedError(where, f"the annotation {ANNOTATION} is invalid: {error}") from error
    return settings


def apply_settings(template: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template of Argo with the settings of its pod.

    Args:
        template: a template with a container.
        settings: what :func:`read_settings` returned.
    """
    container = {**template["container"], **settings.get("container", {})}
    for field in ("resources", "volumeMounts"):
        container[field] = _joined(
            template["container"].get(field), settings.get("container", {}).get(field)
        )
    changed = {**template, **{name: settings[name] for name in _POD if name in settings}}
    changed["volumes"] = _joined(template.get("volumes"), settings.get("volumes"))
    if secrets := settings.get(_PULL_SECRETS):
        # A template has no field for them, only the whole workflow.
        changed["podSpecPatch"] = json.dumps({_PULL_SECRETS: secrets})
    changed["container"] = {name: value for name, value in container.items() if value}
    return {name: value for name, value in changed.items() if value not in (None, [], {})}


def _joined(first: Any, second: Any) -> Any:
    """Return two lists, or two dictionaries of dictionaries, as one."""
    if isinstance(first, list) or isinstance(second, list):
        return [*(first or []), *(second or [])]
    first, second = first or {}, second or {}
    return {key: {**first.get(key, {}), **second.get(key, {})} for key in sorted({*first, *second})}
