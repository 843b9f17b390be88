"""Compile a flow to a DAG file, with Metaflow in a process of its own."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import devstack
from devstack.deployers.airflow.metaflow_compiler import REFUSED_STATUS
from devstack.deployers.airflow.patches import DagOverrides
from devstack.deployers.base import DeployOptions
from devstack.deployers.unsupported import Violation, unsupported_error
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.environment import FlowEnvironment
from devstack.flows.failure import no_flow_error
from devstack.flows.source import FlowSource
from devstack.process import Completed, Runner

COMPILE_TIMEOUT = 300.0

LAUNCH = """
import sys
sys.path[:] = [sys.argv.pop(1), *filter(None, sys.path)]
from devstack.deployers.airflow.metaflow_compiler import main
main()
"""
"""Imports the compiler from devstack's folder, which the user's interpreter does not have."""

_MESSAGE = re.compile(r"^ {4}\S")
"""Metaflow indents the message of an error by four spaces."""


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
        if refusal := _refusal(options.source, done, report):
            raise refusal
        if not done.ok or not file.exists():
            raise _failed(options.source, done)
        facts = json.loads(report.read_text())
        facts["pools"] = tuple(facts["pools"])
        return CompiledDag(
            **facts,
            paused=options.paused,
            text=file.read_text(encoding="utf-8"),
            output=done.stdout,
        )


def _argv(options: DeployOptions, python: Path, report: Path, file: Path) -> list[str]:
    root = Path(devstack.__file__).parent.parent
    argv = [str(python), "-c", LAUNCH, str(root), str(report), str(options.source.path)]
    # pylint takes seconds; `devstack run` runs it.
    argv += ["--no-pylint", *options.metaflow_options]
    argv += ["--branch", options.branch] if options.branch else []
    argv += ["--production"] if options.production else []
    argv += ["airflow", *(["--name", options.name] if options.name else [])]
    argv += ["create", str(file), *options.create_options]
    return argv + (["--is-paused-upon-creation"] if options.paused else [])


def _variables(env: FlowEnvironment) -> Mapping[str, str | None]:
    # Metaflow writes the local time as the DAG's start date, without a time zone, and Airflow reads
    # it as UTC. East of Greenwich, runs would precede the start date and succeed without any task.
    return {**env.changes(), "TZ": "UTC"}


def _refusal(source: FlowSource, done: Completed, report: Path) -> DevstackError | None:
    """Return the error for what the hooks in Metaflow's process refused; None if nothing."""
    if done.returncode != REFUSED_STATUS:
        return None
    reason = json.loads(report.read_text())
    if "error" in reason:
        return DevstackError(**reason["error"], exit_status=ExitStatus.USAGE)
    if "violations" in reason:
        violations = [Violation(**item) for item in reason["violations"]]
        return unsupported_error("Airflow", source.path, violations)
    # The flow itself exited with this status.
    return None


def _failed(source: FlowSource, done: Completed) -> DevstackError:
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.ok:
        return no_flow_error(f"cannot deploy {source.path}", lines)
    messages = [line.strip() for line in lines if _MESSAGE.match(line)]
    return DevstackError(
        f"cannot compile {source.path}",
        cause=messages[-1] if messages else f"Metaflow exited with status {done.returncode}",
        remedy="correct the flow as Metaflow's message says, then deploy it again",
        code="COMPILE_FAILED",
        exit_status=ExitStatus.USAGE,
        output="\n".join(lines),
    )
