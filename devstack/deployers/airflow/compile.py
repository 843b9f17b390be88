"""Compiling a flow to the file of a DAG."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from devstack.deployers.airflow.hooks import REFUSED_STATUS
from devstack.deployers.airflow.patches import DagOverrides
from devstack.deployers.airflow.unsupported import Violation
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.environment import FlowEnvironment
from devstack.flows.source import FlowSource
from devstack.process import Completed, Runner

COMPILE_SECONDS = 300.0

_HEADLINE = re.compile(r"^ {4}\S")


@dataclass(frozen=True)
class CompileCall:
    """What to compile, and how.

    Attributes:
        source: the flow.
        dag_name: the DAG's name; the flow's where empty.
        branch: the branch of a @project; the user's own where empty.
        production: True for the production branch of a @project.
        paused: True where the DAG waits until somebody unpauses it.
        wanted: what Metaflow's command line cannot say.
        options: options of `airflow create`, as Metaflow takes them.
        metaflow: options of Metaflow itself, which stand before `airflow`.
    """

    source: FlowSource
    dag_name: str = ""
    branch: str = ""
    production: bool = False
    paused: bool = False
    wanted: DagOverrides = field(default_factory=DagOverrides)
    options: Sequence[str] = ()
    metaflow: Sequence[str] = ()


@dataclass(frozen=True)
class CompiledDag:
    """The file of a DAG, not delivered yet.

    Attributes:
        dag_id: the DAG's id.
        flow: the flow's class.
        start_date: tells this compilation from any other, as Airflow shows it too.
        schedule: a cron expression or a preset; empty where nothing starts it by itself.
        pools: the pools of task slots that it names.
        text: the file.
        output: what Metaflow printed.
    """

    dag_id: str
    flow: str
    start_date: str
    schedule: str
    pools: tuple[str, ...]
    text: str
    output: str


def compile_flow(call: CompileCall, env: FlowEnvironment, runner: Runner) -> CompiledDag:
    """Compile a flow, unless Airflow cannot run it.

    Args:
        call: the flow, and how to compile it.
        env: the stack, whose profile Metaflow gets.
        runner: starts Metaflow.

    Raises:
        DevstackError: ``AIRFLOW_CANNOT`` with every reason, or ``COMPILE_FAILED``
            with what Metaflow said.
    """
    with tempfile.TemporaryDirectory(prefix="devstack-") as folder:
        report, file = Path(folder) / "report.json", Path(folder) / "dag.py"
        report.write_text(json.dumps(asdict(call.wanted)))
        done = runner.run(
            _argv(call, env.python, report, file),
            env=_variables(env),
            timeout=COMPILE_SECONDS,
            check=False,
        )
        if done.returncode == REFUSED_STATUS:
            raise _refused(call.source, report)
        if not done.ok or not file.exists():
            raise _failed(call.source, done)
        facts = json.loads(report.read_text())
        facts["pools"] = tuple(facts["pools"])
        return CompiledDag(**facts, text=file.read_text(), output=done.stdout)


def _argv(call: CompileCall, python: Path, report: Path, file: Path) -> list[str]:
    # pylint looks at programs, and takes seconds; `devstack run` has it look.
    words = [
        str(python),
        "-m",
        "devstack.deployers.airflow.hooks",
        str(report),
        str(call.source.path),
    ]
    words += ["--no-pylint", *call.metaflow]
    words += ["--branch", call.branch] if call.branch else []
    words += ["--production"] if call.production else []
    words += ["airflow", *(["--name", call.dag_name] if call.dag_name else [])]
    words += ["create", str(file), *call.options]
    return words + (["--is-paused-upon-creation"] if call.paused else [])


def _variables(env: FlowEnvironment) -> Mapping[str, str]:
    # The DAG's start is this moment without its zone, which Airflow takes for UTC: on a machine
    # east of it, every run would lie before the start, and end at once with nothing done.
    return {**env.variables(), "TZ": "UTC"}


def _refused(source: FlowSource, report: Path) -> DevstackError:
    found = [Violation(**each) for each in json.loads(report.read_text())["refusals"]]
    first, *others = found
    more = f" (and {len(others)} more)" if others else ""
    return DevstackError(
        f"Airflow cannot run {source.path}",
        cause=f"{first.where}: {first.what}: {first.reason}{more}",
        remedy=first.instead,
        code="AIRFLOW_CANNOT",
        exit_status=ExitStatus.USAGE,
        output="\n".join(str(each) for each in found) if others else "",
    )


def _failed(source: FlowSource, done: Completed) -> DevstackError:
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    said = [line.strip() for line in lines if _HEADLINE.match(line)]
    return DevstackError(
        f"cannot compile {source.path}",
        cause=said[-1] if said else f"Metaflow ended with status {done.returncode}",
        remedy="correct what Metaflow names, then run the command again",
        code="COMPILE_FAILED",
        exit_status=ExitStatus.USAGE,
        output="\n".join(lines),
    )
