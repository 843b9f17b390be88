"""Metaflow's own compiler, with what devstack puts in between: refusals and mending."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest

from devstack.deployers.airflow.compile import CompileCall, CompiledDag, compile_flow
from devstack.deployers.airflow.patches import DagOverrides
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.environment import FlowEnvironment
from devstack.flows.source import FlowSource
from devstack.process import SubprocessRunner
from tests.fakes.api import FakeApi
from tests.fakes.s3 import fake_s3

RETRYING = """
@retry(times=2, minutes_between_retries=0)
@step
def start(self):
    self.next(self.middle)
@catch(var="failure")
@timeout(minutes=2)
@step
def middle(self):
    self.next(self.end)
@step
def end(self):
    pass
"""


@pytest.fixture
def s3() -> Iterator[str]:
    with fake_s3() as address:
        yield address


@pytest.fixture
def env(tmp_path: Path, s3: str) -> FlowEnvironment:
    settings = {
        "METAFLOW_HOME": str(tmp_path / "home"),
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DEFAULT_METADATA": "local",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/metaflow",
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(tmp_path / "home"),
        "METAFLOW_KUBERNETES_NAMESPACE": "metaflow",
        "METAFLOW_USER": "tester",
        "AWS_ENDPOINT_URL_S3": s3,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "word",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    kube = FakeApi().client()
    return FlowEnvironment(settings, Path(sys.executable), "metaflow", kube, tmp_path / "logs")


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(body: str = RETRYING, decorators: str = "", parameters: str = "") -> FlowSource:
        lines = ["from metaflow import *", *decorators.splitlines(), "class MyFlow(FlowSpec):"]
        lines += [indent(dedent(parameters), "    "), indent(dedent(body), "    ")]
        path = tmp_path / "my_flow.py"
        path.write_text("\n".join([*lines, "if __name__ == '__main__':", "    MyFlow()"]) + "\n")
        return FlowSource(path, names_platform=False)

    return write


def compiled(source: FlowSource, env: FlowEnvironment, **options: Any) -> CompiledDag:
    return compile_flow(CompileCall(source, **options), env, SubprocessRunner())


def config(dag: CompiledDag) -> dict[str, Any]:
    """Return the dictionary at the head of the DAG's file."""
    for node in ast.parse(dag.text).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "CONFIG":
            found: dict[str, Any] = ast.literal_eval(node.value)
            return found
    raise AssertionError("the file has no CONFIG")


def refusal(source: FlowSource, env: FlowEnvironment, **options: Any) -> DevstackError:
    with pytest.raises(DevstackError) as refused:
        compiled(source, env, **options)
    assert refused.value.code == "AIRFLOW_CANNOT"
    assert refused.value.exit_status == ExitStatus.USAGE
    return refused.value


def test_a_flow_becomes_a_dag_that_python_can_read(write: Any, env: FlowEnvironment) -> None:
    dag = compiled(write(parameters="n = Parameter('n', default=3)"), env)
    assert (dag.dag_id, dag.flow, dag.schedule, dag.pools) == ("MyFlow", "MyFlow", "", ())
    assert config(dag)["dag_instantiation_params"]["start_date"] == dag.start_date
    compile(dag.text, "dag.py", "exec")


def test_the_start_is_now_in_utc_wherever_it_is_compiled(
    write: Any, env: FlowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    start = datetime.fromisoformat(compiled(write(), env).start_date)
    ago = datetime.now(timezone.utc).replace(tzinfo=None) - start
    assert timedelta(0) <= ago < timedelta(minutes=5)


def test_retries_timeouts_and_catch_are_mended(write: Any, env: FlowEnvironment) -> None:
    tasks = config(compiled(write(), env))["states"]
    start, middle = tasks["start"]["operator_args"], tasks["middle"]["operator_args"]
    assert (start["retries"], start["retry_delay"]) == (2, {"seconds": 0})
    assert (middle["retries"], middle["retry_delay"]) == (3, {"seconds": 0})
    assert middle["execution_timeout"] == {"seconds": 420}


def test_what_the_user_asks_for_reaches_the_dag(write: Any, env: FlowEnvironment) -> None:
    dag = compiled(
        write(decorators="@schedule(daily=True)"),
        env,
        dag_name="other",
        paused=True,
        wanted=DagOverrides("*/5 * * * *", 120),
        options=["--worker-pool", "few", "--tag", "one", "--max-workers", "7"],
    )
    arguments = config(dag)["dag_instantiation_params"]
    assert (dag.dag_id, dag.schedule, dag.pools) == ("other", "*/5 * * * *", ("few",))
    assert arguments["dagrun_timeout"] == {"seconds": 120}
    assert (arguments["tags"], arguments["max_active_tasks"]) == (["one"], 7)
    assert arguments["is_paused_upon_creation"] is True


@pytest.mark.parametrize(
    ("written", "schedule"),
    [
        ("daily=True", "@daily"),
        ("hourly=True", "@hourly"),
        ("weekly=True", "@weekly"),
        ("cron='7 * * * *'", "7 * * * *"),
    ],
)
def test_a_schedule_is_the_dags(
    write: Any, env: FlowEnvironment, written: str, schedule: str
) -> None:
    assert compiled(write(decorators=f"@schedule({written})"), env).schedule == schedule


def test_variants_of_a_project_are_dags_of_their_own(write: Any, env: FlowEnvironment) -> None:
    source = write(decorators="@project(name='shop')")
    branch = compiled(source, env, branch="try")
    production = compiled(source, env, production=True)
    assert compiled(source, env).dag_id == "shop.user.tester.MyFlow"
    assert (branch.dag_id, production.dag_id) == ("shop.test.try.MyFlow", "shop.prod.MyFlow")


def test_a_fault_of_the_flow_is_told_in_metaflows_words(write: Any, env: FlowEnvironment) -> None:
    body = "@step\ndef start(self):\n    self.next(self.nowhere)\n@step\ndef end(self):\n    pass\n"
    with pytest.raises(DevstackError) as failed:
        compiled(write(body), env)
    assert failed.value.code == "COMPILE_FAILED"
    assert "nowhere" in failed.value.output


def test_all_that_airflow_cannot_do_is_told_at_once(write: Any, env: FlowEnvironment) -> None:
    body = """
    @kubernetes(tolerations=[{"key": "gpu", "operator": "Exists"}], use_tmpfs=True)
    @step
    def start(self):
        self.items = [1]
        self.next(self.outer, foreach="items")
    @batch
    @step
    def outer(self):
        self.more = [1]
        self.next(self.inner, foreach="more")
    @step
    def inner(self):
        self.next(self.join_inner)
    @step
    def join_inner(self, inputs):
        self.next(self.join)
    @step
    def join(self, inputs):
        self.next(self.end)
    @step
    def end(self):
        pass
    """
    parameters = "n = Parameter('n')\nnothing = Parameter('nothing', default=None)"
    error = refusal(write(body, "@trigger(event='x')", parameters), env)
    told = error.output
    for what in ("parameter n: no default", "parameter nothing: no default", "@trigger"):
        assert what in told
    for what in ("tolerations", "use_tmpfs", "step outer: @batch", "a foreach inside a foreach"):
        assert what in told
    assert all("; instead: " in line for line in told.splitlines())


def test_a_gang_is_refused_with_what_runs_it(write: Any, env: FlowEnvironment) -> None:
    body = """
    @step
    def start(self):
        self.next(self.work, num_parallel=2)
    @parallel
    @step
    def work(self):
        self.next(self.join)
    @step
    def join(self, inputs):
        self.next(self.end)
    @step
    def end(self):
        pass
    """
    error = refusal(write(body), env)
    assert "@parallel" in error.cause
    assert "devstack run" in error.remedy


def test_a_datastore_on_this_machine_is_refused(write: Any, env: FlowEnvironment) -> None:
    assert "datastore" in refusal(write(), env, metaflow=["--datastore", "local"]).cause
