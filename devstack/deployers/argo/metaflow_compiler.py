"""Run Metaflow's Argo compiler with hooks, in Metaflow's own process.

``main`` runs a flow's file as Python would: ``REPORT FLOW.py [METAFLOW ARGUMENTS]``. The
interpreter may be the user's, so this module and those it imports need nothing but the standard
library and Metaflow. The hooks:

- After Metaflow has loaded the flow, check it for features and values that the stack's Argo does
  not support. If there is one, exit before anything is uploaded.
- Write the compiled objects to REPORT instead of sending them to Kubernetes.

REPORT is a JSON file: what to check at the start; at the end the violations, the error, or the
compiled objects.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devstack.deployers.argo.parameters import encode_parameters
from devstack.deployers.argo.unsupported import TYPES, find_violations
from devstack.deployers.flow_description import FlowDescription, describe_flow
from devstack.deployers.metaflow_process import refuse, refuse_values, run_flow

_USAGE = "devstack argo trigger --param NAME=VALUE"


def main() -> None:
    """Compile the flow given on the command line."""
    run_flow(_install_hooks)


def _install_hooks(report: Path) -> None:
    argo_cli: Any = importlib.import_module("metaflow.plugins.argo.argo_workflows_cli")
    wanted = json.loads(report.read_text())
    make_flow = argo_cli.make_flow

    def check_then_make(obj: Any, *rest: Any) -> Any:
        description = describe_flow(obj.flow, obj.graph, obj.flow_datastore.TYPE)
        refuse(report, find_violations(description, wanted["project"], wanted["enable_events"]))
        _check_parameters(report, description, wanted["parameters"])
        return make_flow(obj, *rest)

    class CapturedArgo(argo_cli.ArgoWorkflows):  # type: ignore[misc]
        def cleanup_previous_sensors(self) -> None:
            """Leave the cluster as it is."""

        def deploy(self) -> None:
            """Write the template, its schedule and its sensor to the report."""
            made = {
                "flow": self.flow.name,
                "template": self._workflow_template.to_json(),
                "sensor": self._sensor.to_json() if self._sensor else None,
                "schedule": self._schedule or "",
                "timezone": self._timezone or "",
            }
            report.write_text(json.dumps(made))

        def schedule(self) -> None:
            """Leave the cluster as it is."""

    argo_cli.make_flow = check_then_make
    argo_cli.ArgoWorkflows = CapturedArgo


def _check_parameters(
    report: Path, description: FlowDescription, values: Mapping[str, str]
) -> None:
    """End the process if a value of a parameter is wrong."""
    types = {
        each.name: "FilePath" if each.kind == "file" else TYPES.get(each.kind, "str")
        for each in description.parameters
    }
    refuse_values(report, lambda: encode_parameters(types, values, _USAGE))


if __name__ == "__main__":
    main()
