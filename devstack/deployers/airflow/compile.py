"""Compile a flow to a DAG file, with Metaflow in a process of its own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from devstack.deployers.airflow.patches import DagOverrides
from devstack.deployers.base import DeployOptions
from devstack.deployers.compiling import (
    COMPILE_TIMEOUT,
    compile_failed,
    launcher,
    metaflow_argv,
    refusal,
)
from devstack.flows.environment import FlowEnvironment
from devstack.process import Runner

LAUNCH = launcher("airflow")


@dataclass(frozen=True)
class CompiledDag:
    """A DAG file, not yet delivered.

    Attributes:
        dag_id: the DAG's id.
        flow: the flow's class.
        start_date: the DAG's start date, which is unique to this compilation.
        schedule: a cron expression or a preset; empty if there is no schedule.
        pools: the pools that its tasks use.
        paused: True to leave the DAG paused.
        text: the file's content.
        output: what Metaflow printed.
    """

    dag_id: str
    flow: str
    start_date: str
    schedule: str
    pools: tuple[str, ...]
    paused: bool
    text: str
    output: str


def compile_flow(
    options: DeployOptions,
    env: FlowEnvironment,
    runner: Runner,
    locks: Path | None = None,
    latest: Collection[str] = (),
) -> CompiledDag:
    """Compile a flow.

    Args:
        options: the flow, and how to compile it.
        env: the environment of the flow's process; its interpreter has Metaflow.
        runner: runs Metaflow.
        locks: the folder of lock files; concurrent compilations are independent if None.
        latest: the images with the tag ``latest`` that were added to the nodes, in all spellings.

    Raises:
        DevstackError: ``FLOW_UNSUPPORTED`` with every reason, ``PARAMETER_WRONG``,
            ``FLOW_NOT_STARTED``, or ``COMPILE_FAILED`` with Metaflow's output.
    """
    with tempfile.TemporaryDirectory(prefix="devstack-") as folder:
        report, file = Path(folder) / "report.json", Path(folder) / "dag.py"
        overrides = DagOverrides(
            options.schedule,
            options.workflow_timeout,
            options.project,
            latest=list(latest),
            locks=str(locks or ""),
            parameters=options.parameters,
        )
        report.write_text(json.dumps(asdict(overrides)))
        done = runner.run(
            _argv(options, env.python, report, file),
            env=_variables(env),
            timeout=COMPILE_TIMEOUT,
            check=False,
        )
        if refused := refusal("Airflow", options.source, done, report):
            raise refused
        if not done.ok or not file.exists():
            raise compile_failed(options.source, done)
        facts = json.loads(report.read_text())
        facts["pools"] = tuple(facts["pools"])
        return CompiledDag(
            **facts,
            paused=options.paused,
            text=file.read_text(encoding="utf-8"),
            output=done.stdout,
        )


def _argv(options: DeployOptions, python: Path, report: Path, file: Path) -> list[str]:
    argv = metaflow_argv(options, python, LAUNCH, report, "airflow")
    argv += ["create", str(file), *options.create_options]
    return argv + (["--is-paused-upon-creation"] if options.paused else [])


def _variables(env: FlowEnvironment) -> Mapping[str, str | None]:
    # Metaflow writes the local time as the DAG's start date, without a time zone, and Airflow reads
    # it as UTC. East of Greenwich, runs would precede the start date and succeed without any task.
    # The DAG file would contain the headers; Airflow's tasks publish no events with them.
    return {**env.changes(), "TZ": "UTC", "METAFLOW_SERVICE_HEADERS": "{}"}
