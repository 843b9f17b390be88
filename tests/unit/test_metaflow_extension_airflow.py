"""Metaflow's Deployer API for Airflow, with a stand-in for the command `devstack`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from devstack.airflow.runs import DagRun
from devstack.cli.passthrough_args import PASSTHROUGH_ARGS
from devstack.deployers.airflow.deployed_flow import DeployedFlow, DeployedParameter
from devstack.deployers.arguments import sort_arguments
from devstack.deployers.base import Deployment
from devstack.flows.source import read_source
from devstack.schema import DagRun as DagRunJson
from devstack.schema import Deployment as DeploymentJson
from devstack.schema import dump
from tests.support.metaflow_extension import FakeDevstack

FLOW = """
from metaflow import *
@project(name="shop")
class MyFlow(FlowSpec):
    my_n = Parameter("my-n", default=1)
    items = Parameter("items", type=JSONType, default="{}")
    config = Config("config", default_value={"size": 1})
    @step
    def start(self):
        self.next(self.end)
    @step
    def end(self):
        pass
if __name__ == "__main__":
    MyFlow()
"""
DAG = "shop.user.tester.MyFlow"
URL = f"http://127.0.0.1:8080/dags/{DAG}/grid"
DEPLOYMENT = dump(
    DeploymentJson,
    Deployment(DAG, "MyFlow", "@hourly", False, URL, 1.0, 2.0, {"dag_id": DAG, "pools": []}),
)
RUN = DagRun(DAG, "manual__2026-11-27T00:00:00+00:00", "queued", "manual", None, None, {})
TRIGGERED = dump(DagRunJson, RUN)
CREATE = 'Deployer("my_flow.py").airflow().create()'
FROM = f'DeployedFlow.from_deployment("{DAG}")'


def shown(**changes: Any) -> dict[str, Any]:
    """Return what `devstack airflow show` prints of the flow."""
    parameters = (
        DeployedParameter("my-n", "integer", 1, ""),
        DeployedParameter("items", "json", "{}", ""),
    )
    flow = DeployedFlow(
        DAG,
        "MyFlow",
        "tester",
        "mf-0-abcd",
        "shop",
        "user.tester",
        "@hourly",
        False,
        parameters,
        URL,
    )
    return {**asdict(flow), **changes}


def runs(*states: str) -> list[dict[str, Any]]:
    """Return what `devstack airflow runs` prints of the run, in each of its states."""
    return [{"runs": [{**TRIGGERED, "state": state}]} for state in states]


@pytest.fixture
def devstack(tmp_path: Path) -> FakeDevstack:
    """A stand-in that deploys and triggers one flow."""
    (tmp_path / "my_flow.py").write_text(FLOW)
    found = FakeDevstack(tmp_path)
    found.answer("deploy", DEPLOYMENT)
    found.answer("trigger", TRIGGERED)
    found.answer("show", {"flows": [shown()]})
    found.answer("runs", *runs("running"))
    return found


def test_a_flow_is_deployed(devstack: FakeDevstack) -> None:
    found = devstack.run(f"""
        flow = {CREATE}
        found = [type(flow).__name__, flow.name, flow.flow_name, flow.metadata, flow.schedule,
                 flow.production_token, flow.is_paused, flow.url, flow.deployer.additional_info]
    """)
    kind, name, flow_name, metadata, schedule, token, paused, url, info = found
    assert (kind, name, flow_name) == ("AirflowDeployedFlow", DAG, "MyFlow")
    assert metadata.startswith("local@")
    assert (schedule, token, paused, url) == ("@hourly", "mf-0-abcd", False, URL)
    assert info == DEPLOYMENT
    deployed = devstack.calls[0]
    path = str(devstack.folder / "my_flow.py")
    assert deployed.argv == ["airflow", "deploy", path, "--json", "--python", sys.executable]
    assert deployed.cwd == str(devstack.folder)
    assert devstack.calls[1].parsed.params["dags"] == (DAG,)


def test_all_options_of_metaflow_reach_devstack(devstack: FakeDevstack, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    devstack.run(f"""
        deployer = Deployer("my_flow.py", branch="airflow", production=True, pylint=False,
            decospecs=["retry", "kubernetes:cpu=2"], package_suffixes=".py,.txt",
            config_value=[("config", {{"size": 3}})], cwd={str(folder)!r},
            env={{"METAFLOW_USER": "other"}})
        deployer.airflow(name="airflow").create(tags=["a b", "create"], max_workers=3,
            generate_new_token=True, given_token="--new", user_namespace="theirs",
            is_paused_upon_creation=True, workflow_timeout=60, worker_pool="few", authorize="me")
        found = None
    """)
    (call,) = devstack.calls
    assert (call.cwd, call.user) == (str(folder), "other")
    options = call.parsed.params
    assert (options["dag_name"], options["branch"], options["production"]) == (
        *("airflow", "airflow", True),
    )
    assert options["tags"] == ("a b", "create")
    assert (options["new_token"], options["generate_new_token"]) == ("--new", True)
    assert (options["authorize"], options["namespace"]) == ("me", "theirs")
    assert (options["max_workers"], options["workflow_timeout"]) == (3, 60)
    assert (options["paused"], options["worker_pool"]) == (True, "few")
    passed = sort_arguments(read_source(options["flow"]), call.parsed.meta[PASSTHROUGH_ARGS])
    assert (passed.create, passed.parameters) == ([], {})
    assert passed.metaflow == [
        *("--no-pylint", "--with", "retry", "--with", "kubernetes:cpu=2"),
        *("--package-suffixes", ".py,.txt", "--config-value", "config", '{"size": 3}'),
    ]


@pytest.mark.parametrize(
    ("options", "error"),
    [("max_worker=3", "ValueError"), ("max_workers='3'", "TypeError")],
)
def test_a_wrong_option_is_refused_before_anything_is_deployed(
    devstack: FakeDevstack, tmp_path: Path, options: str, error: str
) -> None:
    found = devstack.run(f"""
        import os
        os.chdir("..")
        before = os.getcwd()
        deployer = Deployer({str(tmp_path / "my_flow.py")!r}, cwd={str(tmp_path)!r}).airflow()
        try:
            deployer.create({options})
        except Exception as error:
            found = [type(error).__name__, os.getcwd() == before]
    """)
    assert found == [error, True]
    assert devstack.calls == []


def test_a_run_is_triggered_with_the_values_of_python(devstack: FakeDevstack) -> None:
    found = devstack.run(f"""
        run = {CREATE}.trigger(my_n=3, items={{"ä": [1, None, True]}})
        found = [type(run).__name__, run.pathspec, run.name, run.run is None, run.status,
                 run.is_running]
    """)
    pathspec = f"MyFlow/{RUN.metaflow_id}"
    assert found == ["AirflowTriggeredRun", pathspec, RUN.run_id, True, "RUNNING", True]
    trigger, *requests = devstack.calls[2:]
    assert trigger.parsed.params["dag"] == DAG
    assert trigger.parsed.params["parameters"] == {"my-n": "3", "items": '{"ä": [1, null, true]}'}
    for call in requests:
        assert (call.parsed.params["dag"], call.parsed.params["run"]) == (DAG, RUN.run_id)


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ("items='text', my_n=None", {"items": '"text"'}),
        ("**{'my-n': '-1=2'}", {"my-n": "-1=2"}),
        ("my_n=False", {"my-n": "False"}),
        ("", {}),
    ],
)
def test_values_of_parameters_are_passed_as_text(
    devstack: FakeDevstack, given: str, texts: dict[str, str]
) -> None:
    devstack.run(f"found = {FROM}.trigger({given}).name")
    assert devstack.calls[-1].parsed.params["parameters"] == texts


def test_an_unknown_parameter_is_named(devstack: FakeDevstack) -> None:
    found = devstack.run(f"""
        from metaflow.exception import MetaflowException
        try:
            {FROM}.trigger(m=3)
        except MetaflowException as error:
            found = str(error)
    """)
    assert found == "the flow has no Parameter 'm'; it has items, my-n"


def test_a_deployed_flow_is_found_by_its_name(devstack: FakeDevstack) -> None:
    found = devstack.run("""
        flows = [DeployedFlow.from_deployment("MyFlow"),
                 DeployedFlow.from_deployment("MyFlow", metadata="local@/there", impl="airflow"),
                 DeployedFlow.from_airflow("MyFlow")]
        found = [[each.name, each.flow_name, each.metadata[:5]] for each in flows]
        found.append(flows[1].metadata)
        try:
            flows[0].deployer.create()
        except Exception as error:
            found.append(str(error))
        with flows[0].deployer:
            pass
    """)
    assert found[:3] == [[DAG, "MyFlow", "local"]] * 3
    assert found[3] == "local@/there"
    assert "was found in Airflow, which does not have the flow's file" in found[4]
    assert devstack.calls[0].argv == ["airflow", "show", "--json", "--", "MyFlow"]


def test_deployed_flows_are_listed(devstack: FakeDevstack) -> None:
    devstack.answer("show", {"flows": [shown(), shown(dag_id="other", flow="OtherFlow")]})
    found = devstack.run("""
        found = [[each.name for each in DeployedFlow.list_deployed_flows(*names)]
                 for names in ([], ["MyFlow"], ["Missing"])]
        found.append([each.name for each in DeployedFlow.list_airflow("OtherFlow")])
    """)
    assert found == [[DAG, "other"], [DAG], [], ["other"]]
    assert {tuple(call.argv) for call in devstack.calls} == {("airflow", "show", "--json", "--")}


def test_a_run_is_found_again_by_either_id(devstack: FakeDevstack) -> None:
    devstack.answer("runs", *runs("success"))
    found = devstack.run(f"""
        runs = [DeployedFlow.get_triggered_run("MyFlow", {RUN.metaflow_id!r}),
                DeployedFlow.get_triggered_airflow_run("MyFlow", {RUN.run_id!r})]
        found = [[each.pathspec, each.name, each.status] for each in runs]
    """)
    assert found == [[f"MyFlow/{RUN.metaflow_id}", RUN.run_id, "SUCCESS"]] * 2
    asked = [call.parsed.params["run"] for call in devstack.calls if call.argv[1] == "runs"]
    assert asked == [RUN.metaflow_id, RUN.run_id, RUN.run_id, RUN.run_id]


def test_a_run_is_awaited_through_an_outage(devstack: FakeDevstack) -> None:
    outage = {"code": "AIRFLOW_UNREACHABLE", "message": "Airflow does not answer"}
    texts = [json.dumps({"data": each}) for each in runs("running", "success")]
    devstack.print("runs", texts[0], json.dumps({"error": outage}), texts[1])
    found = devstack.run(f"""
        run = {FROM}.trigger()
        run.wait_for_completion(check_interval=0.01, timeout=60)
        found = run.status
    """)
    assert found == "SUCCESS"
    assert [call.argv[1] for call in devstack.calls].count("runs") == 4


def test_a_wait_ends_at_its_limit_and_an_unknown_run_has_no_status(
    devstack: FakeDevstack,
) -> None:
    found = devstack.run(f"""
        run = {FROM}.trigger()
        try:
            run.wait_for_completion(check_interval=0.01, timeout=0)
        except TimeoutError as error:
            found = str(error)
    """)
    assert found == f"the run MyFlow/{RUN.metaflow_id} did not end within 0 s"
    devstack.fail("runs", code="RUN_UNKNOWN", message="Airflow has no run")
    assert devstack.run(f"found = [{FROM}.trigger().status]") == [None]


def test_the_owner_stops_a_run_and_deletes_the_flow(devstack: FakeDevstack) -> None:
    devstack.answer("stop", {**TRIGGERED, "stopped": True})
    devstack.answer("delete", {"deleted": [DAG]})
    found = devstack.run(f"""
        flow = {FROM}
        found = [flow.trigger().terminate(), flow.delete(), flow.delete(force=True)]
    """)
    assert found == [True, True, True]
    calls = [call for call in devstack.calls if call.argv[1] in ("stop", "delete")]
    assert calls[0].parsed.params["run"] == RUN.metaflow_id
    assert [call.parsed.params["force"] for call in calls[1:]] == [False, True]
    assert calls[1].parsed.params["dags"] == (DAG,)


@pytest.mark.parametrize("stored", ["mfprj-", "project"], ids=["project", "plain"])
def test_another_user_needs_the_production_token(devstack: FakeDevstack, stored: str) -> None:
    changes: dict[str, str] = {"owner": "other"}
    if stored == "project":
        changes |= {"project": "", "branch": "", "dag_id": "MyFlow"}
    devstack.answer("show", {"flows": [shown(**changes)]})
    devstack.answer("delete", {"deleted": [DAG]})
    program = f"""
        from metaflow.plugins.airflow import airflow_cli
        from metaflow.plugins.aws.step_functions.production_token import store_token
        found = []
        def delete(**options):
            try:
                found.append({FROM}.delete(**options))
            except airflow_cli.IncorrectProductionToken as error:
                found.append(str(error))
        delete()
        delete(authorize="mf-0-wrong")
        delete(authorize="mf-0-abcd")
        delete(authorize="production:mf-0-abcd")
        airflow_cli.current._update_env({{"flow_name": "MyFlow", **{project_of(changes)}}})
        store_token(airflow_cli.resolve_dag_name(None)[1], "mf-0-abcd")
        delete()
    """
    found = devstack.run(program)
    assert "deployed by other" in found[0]
    assert "deployed by other" in found[1]
    assert found[2:] == [True, True, True]
    assert [call.argv[1] for call in devstack.calls].count("delete") == 3


def project_of(changes: dict[str, str]) -> dict[str, str]:
    """Return what Metaflow knows of the @project, by the names of its `current`."""
    if changes.get("project") == "":
        return {}
    return {"project_name": "shop", "branch_name": "user.tester", "project_flow_name": DAG}


def test_devstacks_error_is_metaflows_exception(devstack: FakeDevstack) -> None:
    error = {
        "code": "COMPILE_FAILED",
        "message": "cannot compile my_flow.py",
        "cause": "Metaflow exited with status 1",
        "remedy": "correct the flow",
        "output": ["a line of Metaflow"],
    }
    devstack.fail("deploy", **error)
    found = devstack.run(f"""
        from metaflow.exception import MetaflowException
        try:
            {CREATE}
        except MetaflowException as error:
            found = [str(error), error.code, error.cause, error.remedy]
    """)
    text = (
        "cannot compile my_flow.py: Metaflow exited with status 1\n"
        "  | a line of Metaflow\n"
        "next: correct the flow\n"
        "code: COMPILE_FAILED"
    )
    assert found == [text, *(error[name] for name in ("code", "cause", "remedy"))]


def test_what_airflow_cannot_run_is_told_as_metaflows_tests_expect(devstack: FakeDevstack) -> None:
    devstack.fail("deploy", code="FLOW_UNSUPPORTED", message="Airflow cannot run it", cause="why")
    program = f"""
        try:
            {CREATE}
        except Exception as error:
            found = str(error)
    """
    first = devstack.run(program).splitlines()[0]
    assert first == "Airflow cannot run it (not supported): why"


def test_a_devstack_that_ends_without_json_is_reported_with_its_output(
    devstack: FakeDevstack,
) -> None:
    devstack.print("show", "", errors="Traceback\nModuleNotFoundError: rich\n", status=1)
    assert message(devstack, FROM) == (
        "devstack ended with status 1: it printed no JSON\n"
        "  | Traceback\n"
        "  | ModuleNotFoundError: rich\n"
        "code: DEVSTACK_FAILED"
    )


def test_a_devstack_that_was_removed_is_reported(devstack: FakeDevstack) -> None:
    os.remove(devstack.folder / "devstack")
    found = message(devstack, FROM)
    assert found.startswith(f"cannot start {devstack.folder}/devstack: ")
    assert found.endswith("code: DEVSTACK_NOT_STARTED")


def test_a_deployment_that_takes_too_long_is_ended(devstack: FakeDevstack) -> None:
    (devstack.folder / "devstack").write_text("#!/bin/sh\nexec sleep 30\n")
    call = 'Deployer("my_flow.py", file_read_timeout=1).airflow().create()'
    found = message(devstack, call)
    assert found.startswith("devstack airflow deploy did not end within 1 s")


def message(devstack: FakeDevstack, call: str) -> str:
    """Return the message of Metaflow's exception that a call raises."""
    found: str = devstack.run(f"""
        from metaflow.exception import MetaflowException
        try:
            {call}
        except MetaflowException as error:
            found = str(error)
    """)
    return found


@pytest.mark.parametrize("show", [True, False])
def test_output_is_shown_as_the_user_chose(devstack: FakeDevstack, show: bool) -> None:
    envelope = {"data": DEPLOYMENT, "warnings": ["a warning"], "error": None}
    devstack.print("deploy", json.dumps(envelope), errors="devstack: overridden\n")
    create = f'Deployer("my_flow.py", show_output={show}).airflow().create()'
    done = devstack.python(["-c", f"from metaflow import Deployer\n{create}"])
    assert (f"{DAG} is deployed: {URL}" in done.stdout) is show
    assert ("devstack: overridden\nwarning: a warning\n" in done.stderr) is show
