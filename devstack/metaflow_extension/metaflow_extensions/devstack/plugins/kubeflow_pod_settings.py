"""The settings of ``@kubernetes`` and ``@resources`` that metaflow-kubeflow loses.

Labels and annotations go where the package puts its own. What kfp has no call for is one
annotation of the pod, in Kubernetes' own words, which the stack's pipelines API applies and
removes (``kubeflow_pipelines/pod_settings.py``). Another backend would ignore it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from metaflow.exception import MetaflowException

ANNOTATION = "devstack/pod-settings"
RUN_ID = "kfp-{{workflow.labels.pipeline/runid}}"
"""Metaflow's id of the run, in which Argo inserts that of the pipeline's run."""

_AMOUNT = re.compile(r"([0-9]*\.?[0-9]+)(.*)")
_SNAKE = re.compile(r"_([a-z])")


def complete_resources(
    step: str, resources: dict[str, Any], attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the package computed for a step, with what it loses.

    Args:
        step: the step.
        resources: labels, annotations, resources of the pod, and more.
        attributes: those of the step's ``@kubernetes``, in which ``@resources`` is included.

    Raises:
        MetaflowException: the step is to run in another namespace.
    """
    _require_own_namespace(attributes)
    pod = resources["pod_resources"]
    amounts = {
        kind: {name: whole_amount(str(value)) for name, value in pod.get(kind, {}).items()}
        for kind in ("requests", "limits")
    }
    settings = pod_settings(resources, attributes, amounts)
    return {
        **resources,
        "pod_resources": amounts,
        "labels": {**_texts(attributes.get("labels")), **resources["labels"]},
        "annotations": {
            **_texts(attributes.get("annotations")),
            **resources["annotations"],
            # As Metaflow annotates pods of other engines.
            "metaflow/step_name": step,
            "metaflow/run_id": RUN_ID,
            ANNOTATION: json.dumps(settings, sort_keys=True),
        },
    }


def pod_variables(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a step's container that its settings imply."""
    if _tmpfs_size(attributes) and attributes.get("tmpfs_tempdir"):
        return {"METAFLOW_TEMPDIR": str(attributes["tmpfs_path"])}
    return {}


def pod_settings(
    resources: Mapping[str, Any],
    attributes: Mapping[str, Any],
    amounts: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """Return the fields of pod and container that kfp has no call for.

    Args:
        resources: what the package computed.
        attributes: those of the step's ``@kubernetes``.
        amounts: requests and limits of the container.
    """
    volumes, mounts = _volumes(attributes)
    extended = _texts(attributes.get("extended_resources"))
    container = {
        "envFrom": [{"secretRef": {"name": name}} for name in sorted(resources["secrets"])],
        "imagePullPolicy": attributes.get("image_pull_policy"),
        "ports": _ports(attributes.get("port")),
        "resources": _resources(amounts, extended),
        "securityContext": _camel_case(attributes.get("security_context") or {}),
        "volumeMounts": mounts,
    }
    pull_secrets = attributes.get("image_pull_secrets") or ()
    return _without_empty(
        {
            "serviceAccountName": resources.get("service_account"),
            "nodeSelector": _texts(attributes.get("node_selector")),
            "tolerations": list(attributes.get("tolerations") or ()),
            "imagePullSecrets": [{"name": name} for name in pull_secrets],
            "volumes": volumes,
            "container": _without_empty(container),
        }
    )


def whole_amount(text: str) -> str:
    """Return an amount without a fraction: ``512.0M`` as ``512M``, ``0.5M`` as ``500k``.

    ``@resources`` makes numbers with fractions of all amounts, and kfp refuses them for memory.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None or "." not in match[1]:
        return text
    number, unit = float(match[1]), match[2]
    if number.is_integer():
        return f"{int(number)}{unit}"
    return f"{round(number * 1000)}k" if unit == "M" else text


def _require_own_namespace(attributes: Mapping[str, Any]) -> None:
    from metaflow.metaflow_config import KUBERNETES_NAMESPACE

    wanted = attributes.get("namespace")
    if wanted and wanted != KUBERNETES_NAMESPACE:
        raise MetaflowException(
            f"@kubernetes(namespace={wanted!r}): the pods of a pipeline run in the namespace of "
            f"its workflow, {KUBERNETES_NAMESPACE!r}; omit it"
        )


def _resources(
    amounts: Mapping[str, Mapping[str, str]], extended: Mapping[str, str]
) -> dict[str, Any]:
    disk = "ephemeral-storage"
    found = {
        kind: {
            **({disk: amounts[kind][disk]} if disk in amounts[kind] else {}),
            **extended,
        }
        for kind in ("requests", "limits")
    }
    return _without_empty(found)


def _volumes(attributes: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []
    in_memory = {
        "tmpfs": (_tmpfs_size(attributes), attributes.get("tmpfs_path")),
        "shared-memory": (attributes.get("shared_memory"), "/dev/shm"),  # noqa: S108
    }
    for name, (size, path) in in_memory.items():
        if size:
            volume = {"medium": "Memory", "sizeLimit": f"{int(size)}Mi"}
            volumes.append({"name": name, "emptyDir": volume})
            mounts.append({"name": name, "mountPath": str(path)})
    for claim, path in (attributes.get("persistent_volume_claims") or {}).items():
        volumes.append({"name": claim, "persistentVolumeClaim": {"claimName": claim}})
        mounts.append({"name": claim, "mountPath": path})
    return volumes, mounts


def _tmpfs_size(attributes: Mapping[str, Any]) -> int:
    if not (attributes.get("use_tmpfs") or attributes.get("tmpfs_size")):
        return 0
    return int(attributes.get("tmpfs_size") or 0)


def _ports(port: Any) -> list[dict[str, Any]]:
    return [{"containerPort": int(port)}] if port else []


def _camel_case(value: Any) -> Any:
    """Return fields of Metaflow's security context as the Kubernetes API names them."""
    if isinstance(value, Mapping):
        return {
            _SNAKE.sub(lambda found: found[1].upper(), str(key)): _camel_case(item)
            for key, item in value.items()
        }
    return value


def _texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    return {str(key): "" if value is None else str(value) for key, value in (values or {}).items()}


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}
