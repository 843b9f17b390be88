"""Compiling a flow to a DAG, inside Metaflow's own process.

``python -m devstack.deployers.airflow.hooks REPORT FLOW.py [words of Metaflow's command line]``
runs the flow's file as Python would, with two things put in between:

- once Metaflow has read the flow, what Airflow cannot do is looked for, and
  ends the compilation before anything is uploaded;
- what Metaflow made of it is mended before it is written.

REPORT is a JSON file: it has what the user asked for at first, and at the end
either the refusals or what there is to know of the DAG.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from devstack.deployers.airflow.description import (
    Decoration,
    FlowDescription,
    ParameterDescription,
    StepDescription,
)
from devstack.deployers.airflow.patches import DagOverrides, mend
from devstack.deployers.airflow.unsupported import find_refusals

REFUSED_STATUS = 64
"""The status of a compilation that was refused."""


def main() -> None:
    """Compile the flow that the arguments name."""
    report, flow = Path(sys.argv[1]), Path(sys.argv[2])
    sys.argv = sys.argv[2:]
    # As Python does for a script: modules beside the flow can be imported.
    sys.path[0] = str(flow.resolve().parent)
    _install(report)
    runpy.run_path(str(flow), run_name="__main__")


def _install(report: Path) -> None:
    airflow_cli: Any = importlib.import_module("metaflow.plugins.airflow.airflow_cli")
    wanted = DagOverrides(**json.loads(report.read_text()))
    validate = airflow_cli._validate_workflow

    def validate_first(flow: Any, graph: Any, datastore: Any, *rest: Any) -> None:
        refusals = find_refusals(describe(flow, graph, datastore.TYPE), wanted.project)
        if refusals:
            report.write_text(json.dumps({"refusals": [asdict(each) for each in refusals]}))
            # Past Metaflow, which would make an error of its own of any exception.
            sys.stdout.flush()
            raise SystemExit(REFUSED_STATUS)
        validate(flow, graph, datastore, *rest)

    class MendedAirflow(airflow_cli.Airflow):  # type: ignore[misc]
        def _to_airflow_dag_file(self, dag: dict[str, Any]) -> str:
            catching = {
                node.name for node in self.graph if any(d.name == "catch" for d in node.decorators)
            }
            mend(dag, catching, wanted)
            report.write_text(json.dumps(_facts(dag)))
            written: str = super()._to_airflow_dag_file(dag)
            return written

    airflow_cli._validate_workflow = validate_first
    airflow_cli.Airflow = MendedAirflow


def describe(flow: Any, graph: Any, datastore: str) -> FlowDescription:
    """Return what a flow is made of.

    Args:
        flow: Metaflow's flow, its decorators set up.
        graph: the flow's graph.
        datastore: the datastore's type.
    """
    steps = {node.name: _step(node) for node in graph}
    flow_decorators = (d for several in flow._flow_decorators.values() for d in several)
    return FlowDescription(
        name=flow.name,
        datastore=datastore,
        steps=steps,
        parameters=tuple(_parameter(each) for _, each in flow._get_parameters()),
        decorations=tuple(_decoration(each) for each in flow_decorators),
    )


def _step(node: Any) -> StepDescription:
    return StepDescription(
        name=node.name,
        kind=node.type,
        follows=tuple(node.out_funcs),
        inside_foreach=node.is_inside_foreach,
        parallel=bool(node.parallel_foreach or node.parallel_step),
        decorations=tuple(_decoration(each) for each in node.decorators),
    )


def _decoration(decorator: Any) -> Decoration:
    """Return a decorator with what differs from its defaults."""
    usual = decorator.defaults
    given = {
        key: value
        for key, value in decorator.attributes.items()
        if key not in usual or value != usual[key]
    }
    return Decoration(decorator.name, given)


def _parameter(parameter: Any) -> ParameterDescription:
    parameters: Any = importlib.import_module("metaflow.parameters")
    has_default = "default" in parameter.kwargs
    default = parameters.deploy_time_eval(parameter.kwargs["default"]) if has_default else None
    return ParameterDescription(parameter.name, has_default, default)


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
