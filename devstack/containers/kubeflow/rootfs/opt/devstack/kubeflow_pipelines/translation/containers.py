"""A task that runs a container, as a template of Argo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeflow_pipelines.translation.pipeline import Message
from kubeflow_pipelines.translation.placeholders import (
    OUTPUTS,
    Scope,
    container_text,
    output_path,
)
from kubeflow_pipelines.translation.pod_settings import ANNOTATION, apply_settings, read_settings
from kubeflow_pipelines.translation.unsupported import UnsupportedError, require_only

Template = dict[str, Any]

_CONTAINER_FIELDS = ("args", "command", "env", "image", "resources")
_POD_FIELDS = ("activeDeadlineSeconds", "fieldPathAsEnv", "podMetadata")
_OUTPUT_VOLUME = "kfp-outputs"
_POD_VARIABLES = {"KFP_POD_NAME": "metadata.name", "KFP_POD_UID": "metadata.uid"}
"""Variables that upstream's compiler adds to every container."""

_GIGABYTE = 1_000_000_000
"""Numbers of memory in the IR are in gigabytes of powers of ten."""


@dataclass(frozen=True)
class ContainerTask:
    """A task that runs a container.

    Attributes:
        name: of its template.
        where: the task, for an error.
        executor: the message with the container.
        platform: what the pipeline says of the pod.
        inputs: names of the inputs that have a value, with the default of those that the task
            does not set, and None for the others.
        outputs: names of the output parameters.
        retry_policy: the message ``RetryPolicy``; empty if there is none.
    """

    name: str
    where: str
    executor: Message
    platform: Message
    inputs: Mapping[str, str | None] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    retry_policy: Message = field(default_factory=dict)


def container_template(task: ContainerTask) -> Template:
    """Return the template of a task.

    Raises:
        UnsupportedError: the task has what this service does not support.
    """
    container = _container_of(task)
    require_only(task.where, task.platform, _POD_FIELDS)
    metadata = task.platform.get("podMetadata", {})
    require_only(task.where, metadata, ("annotations", "labels"))
    template: Template = {"name": task.name, "container": _container(task, container)}
    if task.inputs:
        template["inputs"] = {"parameters": [_input(*each) for each in task.inputs.items()]}
    if task.outputs:
        template["outputs"] = {"parameters": [_output(name) for name in task.outputs]}
        template["volumes"] = [{"name": _OUTPUT_VOLUME, "emptyDir": {}}]
    if task.retry_policy:
        template["retryStrategy"] = retry_strategy(task.where, task.retry_policy)
    if seconds := int(task.platform.get("activeDeadlineSeconds", 0)):
        template["activeDeadlineSeconds"] = seconds
    if found := _metadata(task, metadata):
        template["metadata"] = found
    settings = read_settings(task.where, metadata.get("annotations", {}))
    return apply_settings(template, settings)


def _container_of(task: ContainerTask) -> Message:
    require_only(task.where, task.executor, ("container",))
    container: Message = task.executor.get("container", {})
    require_only(task.where, container, _CONTAINER_FIELDS)
    if not container.get("command"):
        raise UnsupportedError(
            task.where,
            "a container without a command is not supported",
            "name the program: Argo cannot look into the image",
        )
    return container


def _container(task: ContainerTask, container: Message) -> dict[str, Any]:
    scope = Scope(task.where, task.inputs, task.outputs, has_retries=bool(task.retry_policy))
    made: dict[str, Any] = {
        "image": container["image"],
        "command": [container_text(each, scope) for each in container["command"]],
        "args": [container_text(each, scope) for each in container.get("args", [])],
        "env": _variables(task, container, scope),
        "resources": container_resources(task.where, container.get("resources", {})),
    }
    if task.outputs:
        made["volumeMounts"] = [{"name": _OUTPUT_VOLUME, "mountPath": OUTPUTS}]
    return {name: value for name, value in made.items() if value}


def _variables(task: ContainerTask, container: Message, scope: Scope) -> list[dict[str, Any]]:
    paths = dict(_POD_VARIABLES)
    for each in task.platform.get("fieldPathAsEnv", []):
        paths[each["name"]] = each["fieldPath"]
    own = [
        {"name": each["name"], "value": container_text(str(each.get("value", "")), scope)}
        for each in container.get("env", [])
    ]
    fields = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in paths.items()
    ]
    return [*fields, *own]


def _input(name: str, default: str | None) -> dict[str, str]:
    return {"name": name} if default is None else {"name": name, "default": default}


def _output(name: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"path": output_path(name)}}


def _metadata(task: ContainerTask, metadata: Message) -> dict[str, Any]:
    scope = Scope(task.where, task.inputs, has_retries=bool(task.retry_policy), expanded=False)
    return {
        kind: {
            name: container_text(str(value), scope)
            for name, value in metadata[kind].items()
            if name != ANNOTATION
        }
        for kind in ("annotations", "labels")
        if metadata.get(kind)
    }


def retry_strategy(where: str, policy: Message) -> dict[str, Any]:
    """Return Argo's retry strategy of a task.

    ``backoffMaxDuration`` limits a single wait, which Argo calls ``cap``; Argo's ``maxDuration``
    is that of all attempts.

    Raises:
        UnsupportedError: Argo has no such factor.
    """
    factor = float(policy.get("backoffFactor", 0) or 2)
    if not factor.is_integer():
        raise UnsupportedError(where, f"the backoff factor {factor} is not a whole number")
    backoff = {
        "duration": str(policy.get("backoffDuration") or "0s"),
        "factor": str(int(factor)),
        "cap": str(policy.get("backoffMaxDuration") or "3600s"),
    }
    limit = str(int(policy.get("maxRetryCount", 0)))
    # Errors too: a pod that a node loses is no failure of its program.
    return {"limit": limit, "retryPolicy": "Always", "backoff": backoff}


def container_resources(where: str, resources: Message) -> dict[str, Any]:
    """Return requests and limits of a container.

    The IR has each amount twice, since kfp 2.12: as text, which may contain a parameter, and as
    number for older backends.

    Raises:
        UnsupportedError: an amount is an input of the task.
    """
    known = [
        f"{prefix}{name[0].upper() if prefix else name[0]}{name[1:]}"
        for prefix in ("", "resource")
        for name in ("cpuLimit", "cpuRequest", "memoryLimit", "memoryRequest")
    ]
    require_only(where, resources, (*known, "accelerator"))
    found: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
    for kind, field_name in (("limits", "Limit"), ("requests", "Request")):
        for name in ("cpu", "memory"):
            amount = _amount(where, resources, name, field_name)
            if amount:
                found[kind][name] = amount
    if accelerator := resources.get("accelerator"):
        kind, count = _accelerator(where, accelerator)
        found["limits"][kind] = count
    return {kind: amounts for kind, amounts in found.items() if amounts}


def _amount(where: str, resources: Message, name: str, field_name: str) -> str:
    text = str(resources.get(f"resource{name.capitalize()}{field_name}", ""))
    if "{{" in text:
        raise UnsupportedError(where, f"an input as {name}{field_name} is not supported")
    number = float(resources.get(f"{name}{field_name}", 0))
    if text or not number:
        return text
    return str(round(number * _GIGABYTE)) if name == "memory" else f"{number:g}"


def _accelerator(where: str, accelerator: Message) -> tuple[str, str]:
    kind = str(accelerator.get("resourceType") or accelerator.get("type", ""))
    count = str(accelerator.get("resourceCount") or accelerator.get("count", ""))
    if "{{" in kind + count:
        raise UnsupportedError(where, "an input as accelerator is not supported")
    return kind, count
