"""Metaflow's Argo compiler with the check for unsupported features, and what is captured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import indent
from threading import Thread
from typing import Any

import pytest
import yaml

from devstack.deployers.argo.compile import CompiledTemplate, compile_flow, cron_of
from devstack.deployers.base import DeployOptions
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.environment import FlowEnvironment
from devstack.flows.source import FlowSource
from devstack.process import SubprocessRunner
from devstack.services import argo_events
from devstack.services.argo_events import ArgoEventsService
from devstack.services.base import ServiceContext
from devstack.state import StackState
from tests.fakes.s3 import fake_s3
from tests.support.dag_compilation import compile_environment

LINEAR = """
@step
def start(self):
    self.next(self.end)
@step
def end(self):
    pass
"""


class EmptyCluster(BaseHTTPRequestHandler):
    """A Kubernetes API without objects; ``written`` has the requests that would change it."""

    written: tuple[str, ...] = ()

    def do_GET(self) -> None:
        if self.command not in ("GET", "DELETE"):
            type(self).written += (f"{self.command} {self.path}",)
        body = json.dumps({"kind": "Status", "message": "not found", "code": 404}).encode()
        self.send_response(404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the server's names

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def cluster() -> Iterator[tuple[type[EmptyCluster], int]]:
    handler = type("Cluster", (EmptyCluster,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield handler, server.server_port
        server.shutdown()


@pytest.fixture
def env(tmp_path: Path, cluster: tuple[type[EmptyCluster], int]) -> Iterator[FlowEnvironment]:
    server = {"server": f"http://127.0.0.1:{cluster[1]}"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": server}],
        "users": [{"name": "c", "user": {"token": "x"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    with fake_s3() as address:
        variables = {"KUBECONFIG": str(file), "METAFLOW_KUBERNETES_NAMESPACE": "flows"}
        yield compile_environment(tmp_path, address, **variables)


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


def compiled(
    source: FlowSource, env: FlowEnvironment, enable_events: str = "", **options: Any
) -> CompiledTemplate:
    return compile_flow(DeployOptions(source, **options), env, SubprocessRunner(), enable_events)


def refused(
    source: FlowSource, env: FlowEnvironment, enable_events: str = ENABLE_EVENTS, **options: Any
) -> DevstackError:
    with pytest.raises(DevstackError) as caught:
        compiled(source, env, enable_events, **options)
    assert caught.value.exit_status == ExitStatus.USAGE
    return caught.value


def test_a_flow_becomes_a_template_and_the_cluster_stays_as_it_is(
    write: Any, env: FlowEnvironment, cluster: tuple[type[EmptyCluster], int]
) -> None:
    made = compiled(write(parameters="n = Parameter('n', default=3)"), env)
    assert (made.name, made.flow, made.schedule) == ("myflow", "MyFlow", "")
    assert made.template["kind"] == "WorkflowTemplate"
    assert made.template["metadata"]["namespace"] == "flows"
    types = json.loads(made.template["metadata"]["annotations"]["metaflow/parameters"])
    assert types["n"]["type"] == "int"
    assert cluster[0].written == ()


def test_the_users_options_reach_the_template(write: Any, env: FlowEnvironment) -> None:
    source = write(decorators="@schedule(cron='30 6 * * ? *', timezone='Europe/Berlin')")
    made = compiled(source, env, paused=True, workflow_timeout=120)
    assert (made.schedule, made.timezone, made.paused) == ("30 6 * * ?", "Europe/Berlin", True)
    assert made.template["spec"]["activeDeadlineSeconds"] == 120
    options = {"name": "other", "schedule": "hourly", "create_options": ["--max-workers", "7"]}
    made = compiled(source, env, **options)
    assert (made.name, made.schedule, made.timezone) == ("other", "0 * * * *", "")
    assert made.template["spec"]["parallelism"] == 7


def test_what_argo_cannot_run_is_refused_before_anything_is_uploaded(
    write: Any, env: FlowEnvironment
) -> None:
    source = write(decorators="@trigger(event='e')", parameters="n = Parameter('n', default='a$b')")
    error = refused(source, env, project="other")
    assert error.code == "FLOW_UNSUPPORTED"
    for text in ("--project other", "parameter n", "'$'", "@trigger"):
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
    settings = ArgoEventsService().outputs(ServiceContext(StackState("mine"))).metaflow
    with_events = replace(env, environment={**env.environment, **settings})
    made = compiled(source, with_events)
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
    assert compiled(write(), env).sensor is None


def test_a_wrong_value_of_a_parameter_is_refused(write: Any, env: FlowEnvironment) -> None:
    source = write(parameters="n = Parameter('n', default=3)")
    error = refused(source, env, parameters={"n": "three"})
    assert error.code == "PARAMETER_WRONG"


def test_metaflows_own_message_is_the_cause(write: Any, env: FlowEnvironment) -> None:
    error = refused(write(parameters="script = Parameter('script')"), env)
    assert error.code == "COMPILE_FAILED"
    assert "script" in (error.cause or "")


def test_schedules_have_five_fields() -> None:
    assert [cron_of(each) for each in ("none", "", "daily")] == ["", "", "0 0 * * *"]
    assert cron_of("*/5 * * * 1-5") == "*/5 * * * 1-5"
    with pytest.raises(DevstackError) as caught:
        cron_of("0 12 * * ? *")
    assert caught.value.code == "SCHEDULE_INVALID"
