"""Metaflow's Argo compiler with the check for unsupported features, and what is captured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from devstack.cron import argo_schedule
from devstack.deployers.argo.compile import check_schedule
from devstack.deployers.argo.parameters import EXACT
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.environment import FlowEnvironment
from devstack.flows.source import FlowSource
from devstack.samples.catalogue import ARGO_SAMPLES
from devstack.services import argo_events
from tests.fakes.s3 import fake_s3
from tests.support.template_compilation import (
    EmptyCluster,
    argo_environment,
    compile_template,
    empty_cluster,
    events_environment,
)

LINEAR = """
@step
def start(self):
    self.next(self.end)
@step
def end(self):
    pass
"""


@pytest.fixture
def cluster() -> Iterator[tuple[type[EmptyCluster], int]]:
    with empty_cluster() as found:
        yield found


@pytest.fixture
def env(tmp_path: Path, cluster: tuple[type[EmptyCluster], int]) -> Iterator[FlowEnvironment]:
    with fake_s3() as address:
        yield argo_environment(tmp_path, address, cluster[1])


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(body: str = LINEAR, decorators: str = "", parameters: str = "") -> FlowSource:
        lines = ["from metaflow import *", *decorators.splitlines(), "class MyFlow(FlowSpec):"]
        lines += [indent(parameters, "    "), indent(body, "    ")]
        path = tmp_path / "my_flow.py"
        path.write_text("\n".join([*lines, "if __name__ == '__main__':", "    MyFlow()"]) + "\n")
        return FlowSource(path)

    return write


ENABLE_EVENTS = "devstack up --with argo-events"


def refused(source: FlowSource, env: FlowEnvironment, **options: Any) -> DevstackError:
    with pytest.raises(DevstackError) as caught:
        compile_template(source, env, **{"enable_events": ENABLE_EVENTS, **options})
    assert caught.value.exit_status == ExitStatus.USAGE
    return caught.value


def test_a_flow_becomes_a_template_and_the_cluster_stays_as_it_is(
    write: Any, env: FlowEnvironment, cluster: tuple[type[EmptyCluster], int]
) -> None:
    made = compile_template(write(parameters="n = Parameter('n', default=3)"), env)
    assert (made.name, made.flow, made.schedule) == ("myflow", "MyFlow", "")
    assert made.template["kind"] == "WorkflowTemplate"
    assert made.template["metadata"]["namespace"] == "flows"
    types = json.loads(made.template["metadata"]["annotations"]["metaflow/parameters"])
    assert types["n"]["type"] == "int"
    assert cluster[0].written == ()


def test_the_users_options_reach_the_template(write: Any, env: FlowEnvironment) -> None:
    source = write(decorators="@schedule(cron='30 6 * * ? *', timezone='Europe/Berlin')")
    made = compile_template(source, env, paused=True, workflow_timeout=120)
    assert (made.schedule, made.timezone, made.paused) == ("30 6 * * *", "Europe/Berlin", True)
    assert made.template["spec"]["activeDeadlineSeconds"] == 120
    options = {"name": "other", "schedule": "hourly", "create_options": ["--max-workers", "7"]}
    made = compile_template(source, env, **options)
    assert (made.name, made.schedule, made.timezone) == ("other", "0 * * * *", "")
    assert made.template["spec"]["parallelism"] == 7


def test_what_argo_cannot_run_is_refused_before_anything_is_uploaded(
    write: Any, env: FlowEnvironment
) -> None:
    source = write(
        decorators="@trigger(event='e')", parameters="n = Parameter('n', default='a\\0b')"
    )
    error = refused(source, env, project="other")
    assert error.code == "FLOW_UNSUPPORTED"
    for text in ("--project other", "parameter n", "NUL", "@trigger"):
        assert text in error.output


@pytest.mark.parametrize("decorator", ["@trigger(event='e')", "@trigger_on_finish(flow='Other')"])
def test_a_flow_that_waits_for_events_needs_argo_events(
    write: Any, env: FlowEnvironment, decorator: str
) -> None:
    error = refused(write(decorators=decorator), env)
    assert "no Argo Events" in (error.cause or "")
    assert error.remedy == ENABLE_EVENTS


def test_events_become_a_sensor_that_fills_parameters(
    write: Any, env: FlowEnvironment, cluster: tuple[type[EmptyCluster], int]
) -> None:
    trigger = "@trigger(event={'name': 'data', 'parameters': {'n': 'size'}})"
    source = write(decorators=trigger, parameters="n = Parameter('n', default=3)")
    made = compile_template(source, events_environment(env))
    assert made.sensor is not None
    # What Metaflow refuses to compile without is set.
    spec = made.sensor["spec"]
    assert made.sensor["metadata"]["name"] == made.name
    assert made.sensor["metadata"]["namespace"] == argo_events.SENSORS
    assert spec["eventBusName"] == argo_events.BUS
    assert spec["template"]["serviceAccountName"] == argo_events.SENSOR_ACCOUNT
    (dependency,) = spec["dependencies"]
    assert dependency["eventSourceName"] == argo_events.WEBHOOK
    assert dependency["eventName"] == argo_events.EVENT
    (task,) = (each for each in made.template["spec"]["templates"] if each["name"] == "start")
    variables = {each["name"]: each.get("value") for each in task["container"]["env"]}
    assert variables["METAFLOW_ARGO_EVENTS_WEBHOOK_URL"].endswith(
        ".svc.cluster.local:12000/metaflow-event"
    )
    assert "Bearer " in variables["METAFLOW_SERVICE_HEADERS"]
    assert cluster[0].written == ()


def test_a_flow_without_events_has_no_sensor(write: Any, env: FlowEnvironment) -> None:
    assert compile_template(write(), env).sensor is None


def test_a_wrong_value_of_a_parameter_is_refused(write: Any, env: FlowEnvironment) -> None:
    source = write(parameters="n = Parameter('n', default=3)")
    error = refused(source, env, parameters={"n": "three"})
    assert error.code == "PARAMETER_WRONG"


def test_metaflows_own_message_is_the_cause(write: Any, env: FlowEnvironment) -> None:
    error = refused(write(parameters="script = Parameter('script')"), env)
    assert error.code == "COMPILE_FAILED"
    assert "script" in (error.cause or "")


@pytest.mark.parametrize(
    ("written", "schedule"),
    [
        ("none", ""),
        ("", ""),
        ("daily", "0 0 * * *"),
        ("*/5 * * * 1-5", "*/5 * * * 1-5"),
        ("@hourly", "@hourly"),
        ("0 9 ? * 2-6 *", "0 9 * * MON-FRI"),
    ],
)
def test_a_schedule_is_evaluated_as_it_was_meant(written: str, schedule: str) -> None:
    assert argo_schedule(written) == schedule
    check_schedule(written)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("0 0 12 * * *", "Argo refuses it"),
        ("0 9 L * *", "'L' is no day of the month"),
        ("0 9 * * FRI#2", "'FRI#2' is no day of the week"),
        ("0 9 * * 7", "'7' is no day of the week"),
        ("0 9 * * FRI-MON", "runs backwards"),
        ("0 9 15W * ? *", "nearest weekday"),
        ("0 9 ? * 6#3 *", "weekday of a month: '6#3'"),
        ("0 9 31 4 *", "no day 31"),
        ("every tuesday", "2 fields"),
    ],
)
def test_another_schedule_is_refused_with_an_alternative(written: str, reason: str) -> None:
    with pytest.raises(DevstackError) as caught:
        check_schedule(written)
    assert caught.value.code == "SCHEDULE_INVALID"
    assert reason in caught.value.cause
    assert caught.value.remedy


def test_the_option_takes_the_place_of_a_schedule_that_argo_does_not_have(
    write: Any, env: FlowEnvironment
) -> None:
    source = write(decorators="@schedule(cron='0 9 ? * 6L *')")
    assert "weekday of a month: '6L'" in refused(source, env).cause
    assert compile_template(source, env, schedule="none").schedule == ""


@pytest.mark.parametrize(
    "path",
    [
        *(file for each in ARGO_SAMPLES for file in (each.file, each.starting_file) if file),
        Path(__file__).parents[1] / "argo" / "flows" / "broad.py",
    ],
    ids=lambda path: str(path.stem),
)
def test_samples_and_the_flow_of_many_decorators_compile(path: Path, env: FlowEnvironment) -> None:
    made = compile_template(FlowSource(path), events_environment(env))
    assert made.template["metadata"]["annotations"][EXACT] == "true"
    assert bool(made.sensor) == (path.stem == "argo_events")
