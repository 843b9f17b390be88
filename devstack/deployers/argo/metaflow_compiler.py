"""Run Metaflow's Argo compiler with hooks, in Metaflow's own process.

``main`` runs a flow's file as Python would: ``REPORT FLOW.py [METAFLOW ARGUMENTS]``. The
interpreter may be the user's, so this module and those it imports need nothing but the standard
library and Metaflow. The hooks:

- After Metaflow has loaded the flow, check it for features and values that the stack's Argo does
  not support. If there is one, exit before anything is uploaded.
- Give Metaflow placeholders instead of the texts that it would not quote, and another program that
  sets the Parameters (:mod:`devstack.deployers.argo.scripts`).
- Write the compiled objects to REPORT instead of sending them to Kubernetes.

REPORT is a JSON file: what to check at the start; at the end the violations, the error, or the
compiled objects.
"""

from __future__ import annotations

import importlib
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from devstack.cron import argo_schedule
from devstack.deployers.argo.parameters import EXACT, encode_parameters, without_tags
from devstack.deployers.argo.scripts import set_parameters_exactly, shell_word, variables
from devstack.deployers.argo.sensor_texts import protect_event_texts
from devstack.deployers.argo.unsupported import TYPES, check_defaults, find_violations
from devstack.deployers.argo.unsupported_values import DeployValues, find_value_violations
from devstack.deployers.flow_description import FlowDescription, describe_flow
from devstack.deployers.metaflow_process import refuse, refuse_values, run_flow
from devstack.deployers.script_values import ScriptValues

DESCRIPTION = "workflows.argoproj.io/description"
"""The annotation with the flow's docstring, for Argo's pages."""

_USAGE = "devstack argo trigger --param NAME=VALUE"


def main() -> None:
    """Compile the flow given on the command line."""
    run_flow(_install_hooks)


def _install_hooks(report: Path) -> None:
    argo_cli: Any = importlib.import_module("metaflow.plugins.argo.argo_workflows_cli")
    argo: Any = importlib.import_module("metaflow.plugins.argo.argo_workflows")
    wanted = json.loads(report.read_text())
    described = _install_checks(argo_cli, report, wanted)
    texts = _Texts()
    argo.dict_to_cli_options = texts.values.options(argo.dict_to_cli_options)
    argo.shlex = SimpleNamespace(**{**vars(shlex), "split": texts.split})

    class CapturedArgo(_exact_compiler(argo_cli.ArgoWorkflows, texts)):  # type: ignore[misc]
        def cleanup_previous_sensors(self) -> None:
            """Leave the cluster as it is."""

        def deploy(self) -> None:
            """Write the template, its schedule and its sensor to the report."""
            refuse(report, list(check_defaults(described[0], exact=texts.exact)))
            template = self._workflow_template.to_json()
            _finish(template, self.given_tags, exact=texts.exact)
            made = {
                "flow": self.flow.name,
                "template": template,
                "sensor": _finished_sensor(self),
                "schedule": argo_schedule(wanted["schedule"] or _written_schedule(self.flow)),
                "timezone": "" if wanted["schedule"] else _timezone(self.flow),
            }
            report.write_text(json.dumps(made))

        def schedule(self) -> None:
            """Leave the cluster as it is."""

    argo_cli.ArgoWorkflows = CapturedArgo


def _install_checks(
    argo_cli: Any, report: Path, wanted: Mapping[str, Any]
) -> Sequence[FlowDescription]:
    """Check the flow before Metaflow uploads it; return a list that gets its description."""
    make_flow = argo_cli.make_flow
    described: list[FlowDescription] = []

    def check_then_make(obj: Any, *rest: Any) -> Any:
        description = describe_flow(obj.flow, obj.graph, obj.flow_datastore.TYPE)
        values = _deploy_values(argo_cli, obj, wanted["schedule"])
        violations = find_violations(description, wanted["project"], wanted["enable_events"])
        refuse(report, [*violations, *find_value_violations(description, values)])
        _check_parameters(report, description, wanted["parameters"])
        described.append(description)
        return make_flow(obj, *rest)

    argo_cli.make_flow = check_then_make
    return described


def _exact_compiler(base: Any, texts: _Texts) -> Any:
    """Return Metaflow's compiler with placeholders for the user's texts, or what protects them."""

    class ExactArgo(base):  # type: ignore[misc]
        def __init__(self, *arguments: Any, tags: Any = None, namespace: Any = None, **rest: Any):
            self.given_tags = list(tags or ())
            super().__init__(
                *arguments,
                tags=[texts.values.placeholder(tag) for tag in self.given_tags],
                namespace=namespace and texts.values.placeholder(namespace),
                **rest,
            )

        def _process_parameters(self) -> Any:
            # Template and sensor take the defaults from here.
            parameters = super()._process_parameters()
            for each in parameters.values():
                each["value"] = without_tags(each["value"])
            return parameters

        def _compile_workflow_template(self) -> Any:
            for node in self.graph:
                for decorator in node.decorators:
                    if decorator.name == "environment":
                        _protect_variables(decorator)
            return super()._compile_workflow_template()

    return ExactArgo


class _Texts:
    """The user's texts in the scripts that Metaflow writes.

    Attributes:
        values: the texts by their placeholders.
        exact: True once a script was changed so that Parameters arrive exactly.
    """

    def __init__(self) -> None:
        self.values = ScriptValues(shell_word)
        self.exact = False

    def split(self, command: str) -> list[str]:
        """Return the words of a pod's command, as Metaflow splits it, with the user's texts."""
        *words, script = shlex.split(command)
        script, changed = set_parameters_exactly(script)
        self.exact = self.exact or changed
        return [*words, self.values.insert(script)]


def _deploy_values(argo_cli: Any, obj: Any, schedule: str) -> DeployValues:
    """Return what the user typed, from the command that Metaflow is executing.

    Args:
        argo_cli: Metaflow's module.
        obj: the state of its command line.
        schedule: the option ``--schedule``, which has been checked.
    """
    typed = argo_cli.click.get_current_context().params
    return DeployValues(
        script=os.path.basename(sys.argv[0]),
        datastore_root=str(obj.flow_datastore.datastore_root or ""),
        tags=typed["tags"] or (),
        namespace=typed["user_namespace"] or "",
        identities={
            "METAFLOW_USER": argo_cli.get_username(),
            "--authorize": typed["authorize"],
            "--new-token": typed["given_token"],
        },
        schedule=schedule or _written_schedule(obj.flow),
        timezone=_timezone(obj.flow),
        options=typed,
    )


def _protect_variables(decorator: Any) -> None:
    """Give Metaflow variables of @environment that become the user's in the container."""
    # In a command, `--with environment:vars=...` is a word of a script, not a variable.
    spec = decorator.make_decorator_spec()
    decorator.make_decorator_spec = lambda: spec
    decorator.attributes["vars"] = variables(decorator.attributes["vars"])


def _timezone(flow: Any) -> str:
    """Return the time zone of the flow's @schedule; empty for UTC."""
    found = flow._flow_decorators.get("schedule") or []
    return str(found[0].timezone or "") if found else ""


def _written_schedule(flow: Any) -> str:
    """Return the flow's @schedule before Metaflow removes the year; empty if it has none."""
    found = flow._flow_decorators.get("schedule") or []
    return str(found[0].schedule or "") if found else ""


def _check_parameters(
    report: Path, description: FlowDescription, values: Mapping[str, str]
) -> None:
    """End the process if a value of a parameter is wrong."""
    types = {
        each.name: "FilePath" if each.kind == "file" else TYPES.get(each.kind, "str")
        for each in description.parameters
    }
    refuse_values(report, lambda: encode_parameters(types, values, _USAGE))


def _finish(template: dict[str, Any], tags: list[str], *, exact: bool) -> None:
    """Keep Argo from taking the user's texts outside of scripts for templates of its own."""
    spec = template["spec"]
    for metadata in (template["metadata"], spec.get("workflowMetadata"), spec.get("podMetadata")):
        _finish_annotations(metadata or {}, tags)
    for parameter in spec.get("arguments", {}).get("parameters") or []:
        if parameter.get("description"):
            parameter["description"] = parameter["description"].replace("{{", "{ {")
    if exact:
        template["metadata"]["annotations"][EXACT] = "true"


def _finish_annotations(metadata: Mapping[str, Any], tags: list[str]) -> None:
    annotations = metadata.get("annotations", {})
    if tags:
        annotations["metaflow/tags"] = json.dumps(tags)
    for name in ("tags", "parameters", "dag"):
        if f"metaflow/{name}" in annotations:
            annotations[f"metaflow/{name}"] = without_tags(annotations[f"metaflow/{name}"])
    if DESCRIPTION in annotations:
        annotations[DESCRIPTION] = annotations[DESCRIPTION].replace("{{", "{ {")


def _finished_sensor(argo: Any) -> dict[str, Any] | None:
    """Return the sensor of a compiled flow with the user's texts; None if it has none."""
    if not getattr(argo, "_sensor", None):
        return None
    sensor: dict[str, Any] = json.loads(json.dumps(argo._sensor.to_json()))
    for metadata in (sensor["metadata"], sensor["spec"]["template"].get("metadata") or {}):
        _finish_annotations(metadata, argo.given_tags)
    protect_event_texts(sensor)
    return sensor


if __name__ == "__main__":
    main()
