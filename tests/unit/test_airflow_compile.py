"""Metaflow's compiler with the check for unsupported features and the patches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest

from devstack.deployers.metaflow_process import REFUSED_STATUS
from devstack.environment_variables import FLOW_PROGRAMS, overridden
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.environment import FlowEnvironment
from devstack.flows.source import FlowSource
from tests.fakes.s3 import fake_s3
from tests.support.dag_compilation import compile_environment, compile_source, dag_config

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
    return compile_environment(tmp_path, s3)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(body: str = RETRYING, decorators: str = "", parameters: str = "") -> FlowSource:
        lines = ["from metaflow import *", *decorators.splitlines(), "class MyFlow(FlowSpec):"]
        lines += [indent(dedent(parameters), "    "), indent(dedent(body), "    ")]
        path = tmp_path / "my_flow.py"
        path.write_text("\n".join([*lines, "if __name__ == '__main__':", "    MyFlow()"]) + "\n")
        return FlowSource(path)

    return write


def unsupported(source: FlowSource, env: FlowEnvironment, **options: Any) -> DevstackError:
    with pytest.raises(DevstackError) as refused:
        compile_source(source, env, **options)
    assert refused.value.code == "FLOW_UNSUPPORTED"
    assert refused.value.exit_status == ExitStatus.USAGE
    return refused.value


def test_a_flow_becomes_a_dag_that_python_can_read(write: Any, env: FlowEnvironment) -> None:
    dag = compile_source(write(parameters="n = Parameter('n', default=3)"), env)
    assert (dag.dag_id, dag.flow, dag.schedule, dag.pools) == ("MyFlow", "MyFlow", "", ())
    assert dag_config(dag)["dag_instantiation_params"]["start_date"] == dag.start_date
    compile(dag.text, "dag.py", "exec")


def test_the_start_date_is_in_utc_in_any_time_zone(
    write: Any, env: FlowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    start = datetime.fromisoformat(compile_source(write(), env).start_date)
    ago = datetime.now(timezone.utc).replace(tzinfo=None) - start
    assert timedelta(0) <= ago < timedelta(minutes=5)


def test_the_token_that_publishes_events_is_not_in_the_file(
    write: Any, env: FlowEnvironment
) -> None:
    headers = {"METAFLOW_SERVICE_HEADERS": '{"Authorization": "Bearer s3cret"}'}
    with_events = replace(env, environment={**env.environment, **headers})
    assert "s3cret" not in compile_source(write(), with_events).text


def test_retries_timeouts_catch_and_the_grace_period_are_patched(
    write: Any, env: FlowEnvironment
) -> None:
    tasks = dag_config(compile_source(write(), env))["states"]
    start, middle = tasks["start"]["operator_args"], tasks["middle"]["operator_args"]
    assert (start["retries"], start["retry_delay"]) == (2, {"seconds": 0})
    assert (middle["retries"], middle["retry_delay"]) == (3, {"seconds": 0})
    assert middle["execution_timeout"] == {"seconds": 420}
    assert middle["termination_grace_period"] == 1


def test_the_users_options_reach_the_dag(write: Any, env: FlowEnvironment) -> None:
    dag = compile_source(
        write(decorators="@schedule(daily=True)"),
        env,
        name="other",
        paused=True,
        schedule="*/5 * * * *",
        workflow_timeout=120,
        create_options=["--worker-pool", "few", "--tag", "one", "--max-workers", "7"],
    )
    arguments = dag_config(dag)["dag_instantiation_params"]
    assert (dag.dag_id, dag.schedule, dag.pools) == ("other", "*/5 * * * *", ("few",))
    assert arguments["dagrun_timeout"] == {"seconds": 120}
    assert (arguments["tags"], arguments["max_active_tasks"]) == (["one"], 7)
    assert arguments["is_paused_upon_creation"] is True


@pytest.mark.parametrize(
    ("variable", "argument"),
    [
        ("METAFLOW_AIRFLOW_KUBERNETES_CONN_ID", "kubernetes_conn_id"),
        ("METAFLOW_AIRFLOW_KUBERNETES_KUBECONFIG_FILE", "config_file"),
        ("METAFLOW_AIRFLOW_KUBERNETES_KUBECONFIG_CONTEXT", "cluster_context"),
    ],
)
def test_the_users_choice_of_a_cluster_reaches_every_task(
    write: Any,
    env: FlowEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    argument: str,
) -> None:
    monkeypatch.setenv(variable, "/etc/other")
    env = replace(env, unset=frozenset(overridden(os.environ, FLOW_PROGRAMS)))
    tasks = dag_config(compile_source(write(), env))["states"]
    assert {task["operator_args"].get(argument) for task in tasks.values()} == {"/etc/other"}


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
    assert compile_source(write(decorators=f"@schedule({written})"), env).schedule == schedule


def test_variants_of_a_project_are_dags_of_their_own(write: Any, env: FlowEnvironment) -> None:
    source = write(decorators="@project(name='shop')")
    branch = compile_source(source, env, branch="try")
    production = compile_source(source, env, production=True)
    assert compile_source(source, env).dag_id == "shop.user.tester.MyFlow"
    assert (branch.dag_id, production.dag_id) == ("shop.test.try.MyFlow", "shop.prod.MyFlow")


PARAMETERS = """
n = Parameter('n', default=3)
who = Parameter('who', default='you')
file = IncludeFile('file', default='own.txt')
"""


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"n": "abc"}, "'abc' is not of type integer"),
        ({"who": "me", "m": "1"}, "no such parameter; it has file, n, who"),
        ({"file": "x.csv"}, "a pod cannot read this machine's files"),
        ({"who": "\udc80"}, "not valid Unicode"),
    ],
)
def test_a_wrong_parameter_of_the_next_run_is_refused_before_anything_is_uploaded(
    write: Any, env: FlowEnvironment, given: dict[str, str], cause: str
) -> None:
    nowhere = {**env.environment, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    with pytest.raises(DevstackError) as wrong:
        compile_source(
            write(parameters=PARAMETERS), replace(env, environment=nowhere), parameters=given
        )
    assert (wrong.value.code, wrong.value.exit_status) == ("PARAMETER_WRONG", ExitStatus.USAGE)
    assert cause in wrong.value.cause


def test_right_parameters_of_the_next_run_do_not_change_the_dag(
    write: Any, env: FlowEnvironment
) -> None:
    parameters = "\n".join(line for line in PARAMETERS.splitlines() if "File" not in line)
    given = {"n": "4", "who": "Málaga $HOME"}
    dag = compile_source(write(parameters=parameters), env, parameters=given)
    defaults = {each["name"]: each["default"] for each in dag_config(dag)["metaflow_params"]}
    assert (defaults["n"], defaults["who"]) == (3, "you")


def test_an_error_in_the_flow_is_reported_with_metaflows_message(
    write: Any, env: FlowEnvironment
) -> None:
    body = "@step\ndef start(self):\n    self.next(self.nowhere)\n@step\ndef end(self):\n    pass\n"
    with pytest.raises(DevstackError) as failed:
        compile_source(write(body), env)
    assert failed.value.code == "COMPILE_FAILED"
    assert "nowhere" in failed.value.output


@pytest.mark.parametrize("status", [1, 2, REFUSED_STATUS])
def test_a_flow_that_exits_is_reported_with_its_status_and_output(
    tmp_path: Path, env: FlowEnvironment, status: int
) -> None:
    path = tmp_path / "my_flow.py"
    path.write_text(f"print('no licence')\nraise SystemExit({status})\n")
    with pytest.raises(DevstackError) as failed:
        compile_source(FlowSource(path), env)
    assert failed.value.code == "COMPILE_FAILED"
    assert failed.value.cause == f"Metaflow exited with status {status}"
    assert failed.value.output == "no licence"


def test_a_file_that_starts_no_flow_is_reported_as_such(
    tmp_path: Path, env: FlowEnvironment
) -> None:
    path = tmp_path / "my_flow.py"
    path.write_text("print('ready')\n")
    with pytest.raises(DevstackError) as failed:
        compile_source(FlowSource(path), env)
    assert (failed.value.code, failed.value.exit_status) == ("FLOW_NOT_STARTED", ExitStatus.USAGE)
    assert "if __name__ == '__main__'" in failed.value.remedy
    assert failed.value.output == "ready"


def test_all_unsupported_features_are_reported_at_once(write: Any, env: FlowEnvironment) -> None:
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
    error = unsupported(write(body, "@trigger(event='x')", parameters), env)
    output = error.output
    for what in ("parameter n: no default", "parameter nothing: no default", "@trigger"):
        assert what in output
    for what in ("tolerations", "use_tmpfs", "step outer: @batch", "a foreach inside a foreach"):
        assert what in output
    assert all("; instead: " in line for line in output.splitlines())


def test_a_gang_is_unsupported_and_devstack_run_is_recommended(
    write: Any, env: FlowEnvironment
) -> None:
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
    error = unsupported(write(body), env)
    assert "@parallel" in error.cause
    assert "devstack run" in error.remedy


def test_a_local_datastore_is_unsupported(write: Any, env: FlowEnvironment) -> None:
    assert "datastore" in unsupported(write(), env, metaflow_options=["--datastore", "local"]).cause
