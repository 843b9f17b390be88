"""Run Metaflow's Airflow compiler with two hooks, in Metaflow's own process.

``python -m devstack.deployers.airflow.metaflow_compiler REPORT FLOW.py [METAFLOW ARGUMENTS]``
runs the flow's file as Python would. The hooks:

- After Metaflow has loaded the flow, check it for features that Airflow does not
  support. If there are any, exit before anything is uploaded.
- Patch the compiled DAG before Metaflow writes it.

REPORT is a JSON file. It contains :class:`DagOverrides` at the start, and at the
end either the violations or facts about the DAG.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from devstack.deployers.airflow.patches import DagOverrides, patch_dag
from devstack.deployers.airflow.unsupported import find_violations
from devstack.deployers.flow_description import describe_flow

UNSUPPORTED_STATUS = 64
"""Exit status for a flow with unsupported features."""


def main() -> None:
    """Compile the flow given on the command line."""
    report, flow = Path(sys.argv[1]), Path(sys.argv[2])
    sys.argv = sys.argv[2:]
    # As Python does for a script, so that the flow can import modules next to it.
    sys.path[0] = str(flow.resolve().parent)
    _install_hooks(report)
    runpy.run_path(str(flow), run_name="__main__")


def _install_hooks(report: Path) -> None:
    airflow_cli: Any = importlib.import_module("metaflow.plugins.airflow.airflow_cli")
    overrides = DagOverrides(**json.loads(report.read_text()))
    validate = airflow_cli._validate_workflow

    def check_then_validate(flow: Any, graph: Any, datastore: Any, *rest: Any) -> None:
        description = describe_flow(flow, graph, datastore.TYPE)
        violations = find_violations(description, overrides.project)
        if violations:
            report.write_text(json.dumps({"violations": [asdict(each) for each in violations]}))
            sys.stdout.flush()
            # SystemExit, because Metaflow would report any other exception as its own error.
            raise SystemExit(UNSUPPORTED_STATUS)
        validate(flow, graph, datastore, *rest)

    class PatchedAirflow(airflow_cli.Airflow):  # type: ignore[misc]
        def _to_airflow_dag_file(self, dag: dict[str, Any]) -> str:
            catching = {
                node.name for node in self.graph if any(d.name == "catch" for d in node.decorators)
            }
            patch_dag(dag, catching, overrides)
            report.write_text(json.dumps(_facts(dag)))
            text: str = super()._to_airflow_dag_file(dag)
            return text

    airflow_cli._validate_workflow = check_then_validate
    airflow_cli.Airflow = PatchedAirflow


def _facts(dag: dict[str, Any]) -> dict[str, Any]:
    arguments = dag["dag_instantiation_params"]
    tasks = [state["operator_args"] for state in dag["states"].values()]
    pools = {arguments["default_args"].get("pool"), *(task.get("pool") for task in tasks)}
    return {
        "dag_id": arguments["dag_id"],
        "flow": dag["metadata"]["flow_name"],
        "start_date": arguments["start_date"],
        "schedule": arguments["schedule_interval"] or "",
        "pools": sorted(filter(None, pools)),
    }


if __name__ == "__main__":
    main()
