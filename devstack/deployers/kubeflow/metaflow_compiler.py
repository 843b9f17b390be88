"""Run metaflow-kubeflow with hooks, in Metaflow's own process.

As ``devstack/deployers/argo/metaflow_compiler.py``: REPORT is a JSON file, what to check at the
start; at the end the violations, the error, or the compiled pipeline. The pipeline is written to
REPORT instead of being uploaded. The package itself is patched by devstack's Metaflow extension,
which is part of the environment of a stack.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devstack.deployers.flow_description import FlowDescription, describe_flow
from devstack.deployers.kubeflow.parameters import KINDS, convert_values
from devstack.deployers.kubeflow.schedule import kubeflow_schedule
from devstack.deployers.kubeflow.unsupported import find_violations
from devstack.deployers.metaflow_process import refuse, refuse_values, run_flow
from devstack.deployers.unsupported import Violation
from devstack.errors import DevstackError, ExitStatus

PACKAGE = "metaflow_extensions.kubeflow_pipelines_ext"
_CLI = f"{PACKAGE}.plugins.kubeflow_pipelines.kubeflow_pipelines_cli"
_CHECKS = "metaflow_extensions.devstack.plugins.kubeflow_checks"
_USAGE = "devstack kubeflow trigger --param NAME=VALUE"


def main() -> None:
    """Compile the flow given on the command line."""
    run_flow(_install_hooks)


def _install_hooks(report: Path) -> None:
    wanted = json.loads(report.read_text())
    refuse_values(report, _require_package)
    # Metaflow imports its extensions, which import Metaflow.
    importlib.import_module("metaflow")
    kubeflow_cli: Any = importlib.import_module(_CLI)
    checks: Any = importlib.import_module(_CHECKS)
    make_flow = kubeflow_cli.make_flow

    def schedule_of(flow: Any) -> str:
        return str(wanted["schedule"] or _written_schedule(flow))

    def check_then_make(obj: Any, pipeline_name: str, token: str, tags: Any, *rest: Any) -> Any:
        description = describe_flow(obj.flow, obj.graph, obj.flow_datastore.TYPE)
        problems = checks.find_problems(obj.flow, obj.graph, tags or ())
        refuse(
            report,
            [
                *find_violations(description, wanted["project"], schedule_of(obj.flow)),
                *(Violation(*each) for each in problems),
            ],
        )
        _check_parameters(report, description, wanted["parameters"])
        return make_flow(obj, pipeline_name, token, tags, *rest)

    class CapturedPipelines(kubeflow_cli.KubeflowPipelines):  # type: ignore[misc]
        def upload(self, pipeline_path: str, version_name: str | None = None) -> dict[str, str]:
            """Write the pipeline to the report."""
            made = {
                "name": self.name,
                "flow": self.flow.name,
                "pipeline": Path(pipeline_path).read_text(),
                "schedule": self._get_schedule(),
            }
            report.write_text(json.dumps(made))
            return {"pipeline_id": "", "version_id": "", "version_name": version_name or ""}

        def _get_schedule(self) -> str:
            return kubeflow_schedule(schedule_of(self.flow))

        def schedule(self, **_options: Any) -> None:
            """Leave the schedule as it is."""

    kubeflow_cli.make_flow = check_then_make
    kubeflow_cli.KubeflowPipelines = CapturedPipelines


def _written_schedule(flow: Any) -> str:
    """Return the flow's @schedule as its author wrote it; empty if it has none."""
    found = flow._flow_decorators.get("schedule") or []
    if not found:
        return ""
    attributes = found[0].attributes
    # In Metaflow's order: `daily` is true unless it is set to false.
    preset = next((name for name in ("weekly", "hourly", "daily") if attributes.get(name)), "")
    return str(attributes.get("cron") or preset)


def _require_package() -> None:
    """Raise an error if this Python does not have metaflow-kubeflow."""
    missing = [name for name in (PACKAGE, "kfp") if not _is_installed(name)]
    if missing:
        raise DevstackError(
            f"{sys.executable} does not have metaflow-kubeflow",
            cause="Metaflow's compiler for Kubeflow Pipelines is a package of its own",
            remedy=f"{sys.executable} -m pip install metaflow-kubeflow",
            code="METAFLOW_KUBEFLOW_MISSING",
            exit_status=ExitStatus.USAGE,
        )


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _check_parameters(
    report: Path, description: FlowDescription, values: Mapping[str, str]
) -> None:
    """End the process if a value of a parameter is wrong."""
    kinds = {each.name: KINDS.get(each.kind, "STRING") for each in description.parameters}
    refuse_values(report, lambda: convert_values(kinds, values, _USAGE))


if __name__ == "__main__":
    main()
