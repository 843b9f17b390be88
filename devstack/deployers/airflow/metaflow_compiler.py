"""Run Metaflow's Airflow compiler with hooks, in Metaflow's own process.

``main`` runs a flow's file as Python would: ``REPORT FLOW.py [METAFLOW ARGUMENTS]``. The
interpreter may be the user's, so this module and those it imports need nothing but the
standard library and Metaflow. The hooks:

- After Metaflow has loaded the flow, check it for features and values that Airflow does
  not support, and the values of the parameters of the run that follows. If one is wrong,
  exit before anything is uploaded.
- Give Metaflow placeholders instead of the values that it would not quote.
- Patch the compiled DAG before Metaflow writes it.

REPORT is a JSON file. It contains :class:`DagOverrides` at the start, and at the
end the violations, the error, or facts about the DAG.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from devstack.deployers.airflow.literals import shell_literal
from devstack.deployers.airflow.parameter_values import convert_parameters
from devstack.deployers.airflow.parameters import build_parameter
from devstack.deployers.airflow.patches import DagOverrides, UnknownScriptError, patch_dag
from devstack.deployers.airflow.unsupported import find_violations
from devstack.deployers.airflow.unsupported_values import (
    DeployValues,
    check_dag_id,
    find_value_violations,
)
from devstack.deployers.flow_description import (
    FlowDescription,
    config_names,
    describe_flow,
    describe_parameter,
    plain_parameters,
)
from devstack.deployers.metaflow_process import refuse, refuse_values, run_flow
from devstack.deployers.script_values import ScriptValues
from devstack.deployers.unsupported import Violation

_USAGE = "devstack run --airflow FLOW.py -- --NAME VALUE"


def main() -> None:
    """Compile the flow given on the command line."""
    run_flow(_install_hooks)


def _install_hooks(report: Path) -> None:
    airflow_cli: Any = importlib.import_module("metaflow.plugins.airflow.airflow_cli")
    overrides = DagOverrides(**json.loads(report.read_text()))
    _install_checks(airflow_cli, report, overrides)
    _install_token_lock(airflow_cli, overrides)
    _install_patches(airflow_cli, report, overrides)


def _install_checks(airflow_cli: Any, report: Path, overrides: DagOverrides) -> None:
    validate, resolve_name = airflow_cli._validate_workflow, airflow_cli.resolve_dag_name
    metaflow_error = airflow_cli.MetaflowException

    def check_then_validate(flow: Any, graph: Any, datastore: Any, *rest: Any) -> None:
        description = describe_flow(flow, graph, datastore.TYPE)
        values = _deploy_values(airflow_cli, datastore, overrides)
        refuse(report, find_violations(description, overrides.project))
        refuse(report, find_value_violations(description, values))
        _check_parameters(report, description, overrides.parameters)
        validate(_WithoutConfigs(flow), graph, datastore, *rest)

    def check_name(name: str | None) -> Any:
        current = airflow_cli.current
        project = current.get("project_flow_name")
        refuse(report, check_dag_id(project or name or current.flow_name, is_project=bool(project)))
        try:
            return resolve_name(name)
        except metaflow_error as error:
            refuse(report, [Violation("--name", repr(name), str(error), "use --branch")])
            raise

    airflow_cli._validate_workflow = check_then_validate
    airflow_cli.resolve_dag_name = check_name


def _deploy_values(airflow_cli: Any, datastore: Any, overrides: DagOverrides) -> DeployValues:
    """Return what the user typed, from the command that Metaflow is executing."""
    typed = airflow_cli.click.get_current_context().params
    return DeployValues(
        script=os.path.basename(sys.argv[0]),
        datastore_root=str(datastore.datastore_root or ""),
        user=airflow_cli.get_username() or "",
        tags=typed["tags"] or (),
        texts={
            "--namespace": typed["user_namespace"],
            "--authorize": typed["authorize"],
            "--new-token": typed["given_token"],
        },
        pool=typed["worker_pool"],
        schedule=overrides.schedule,
    )


def _check_parameters(
    report: Path, description: FlowDescription, values: Mapping[str, str]
) -> None:
    """End the process if a value of a parameter is wrong."""
    kinds = {each.name: each.kind for each in description.parameters}
    refuse_values(report, lambda: convert_parameters(kinds, values, _USAGE))


class _WithoutConfigs:
    """A flow without its Configs, which Metaflow would take for Parameters without a default."""

    def __init__(self, flow: Any) -> None:
        self._flow = flow

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flow, name)

    def _get_parameters(self) -> Iterator[tuple[str, Any]]:
        return iter([(each.name, each) for each in plain_parameters(self._flow)])


def _install_token_lock(airflow_cli: Any, overrides: DagOverrides) -> None:
    """Let concurrent first deployments of a DAG agree on one production token."""
    resolve: Callable[..., Any] = airflow_cli.resolve_token

    def resolve_token(name: str, *rest: Any) -> Any:
        with _locked(overrides.locks, name):
            return resolve(name, *rest)

    airflow_cli.resolve_token = resolve_token


@contextmanager
def _locked(folder: str, name: str) -> Iterator[None]:
    if not folder:
        yield
        return
    path = Path(folder) / f"token-{sha256(name.encode()).hexdigest()[:16]}"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install_patches(airflow_cli: Any, report: Path, overrides: DagOverrides) -> None:
    airflow: Any = importlib.import_module("metaflow.plugins.airflow.airflow")
    values = ScriptValues(shell_literal)
    airflow.dict_to_cli_options = values.options(airflow.dict_to_cli_options)

    class PatchedAirflow(airflow_cli.Airflow):  # type: ignore[misc]
        def _process_parameters(self) -> list[dict[str, Any]]:
            return [
                build_parameter(
                    describe_parameter(each, read_file=True), each.kwargs.get("help") or ""
                )
                for each in plain_parameters(self.flow)
            ]

        def _step_cli(self, *arguments: Any) -> list[str]:
            with _replaced(self, "tags", [values.placeholder(tag) for tag in self.tags or ()]):
                namespace = self.namespace and values.placeholder(self.namespace)
                with _replaced(self, "namespace", namespace):
                    name = values.placeholder(os.path.basename(sys.argv[0]))
                    with _replaced(sys, "argv", [name]):
                        found: list[str] = super()._step_cli(*arguments)
                        return found

        def _to_airflow_dag_file(self, dag: dict[str, Any]) -> str:
            catching = {
                node.name for node in self.graph if any(d.name == "catch" for d in node.decorators)
            }
            configs = config_names(self.flow)
            try:
                patch_dag(dag, overrides, values, catching=catching, configs=configs)
            except UnknownScriptError as error:
                refuse(report, [_unknown_metaflow(str(error))])
            report.write_text(json.dumps(_facts(dag)))
            text: str = super()._to_airflow_dag_file(_AsciiDict(dag))
            return text

    airflow_cli.Airflow = PatchedAirflow


class _AsciiDict(dict[str, Any]):
    """A dictionary whose text is ASCII, so that a file with it has the same bytes anywhere."""

    def __str__(self) -> str:
        return ascii(dict(self))


@contextmanager
def _replaced(target: Any, name: str, value: Any) -> Iterator[None]:
    original = getattr(target, name)
    setattr(target, name, value)
    try:
        yield
    finally:
        setattr(target, name, original)


def _unknown_metaflow(reason: str) -> Violation:
    instead = "deploy with devstack's own Metaflow: --python, or without a virtual environment"
    return Violation("Metaflow", "this version", reason, instead)


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
