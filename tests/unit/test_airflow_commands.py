"""Backfills, tests of tasks, pools, connections and variables, on the command line.

Airflow is a server with real HTTP; what runs in the scheduler's pod is recorded.
"""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.deployers.airflow.deployer import AirflowDeployer
from devstack.errors import ExitStatus
from tests.fakes.airflow import KUBECTL, airflow_deployer
from tests.fakes.airflow_server import AirflowServer
from tests.fakes.runner import FakeRunner

BACKFILL = ("backfill", "Daily", "--start", "2026-11-01", "--end", "2026-11-03")
DAYS = ["2026-11-01T00:00:00+00:00", "2026-11-02T00:00:00+00:00"]
DETAILS = {"is_paused": False, "params": {"n": {"schema": {"type": "integer"}}, "day": {}}}


class Platform:
    """An Airflow whose API and scheduler answer as a test says.

    Attributes:
        server: its API.
        runner: the programs that were run in the scheduler's pod.
        deployer: the deployer of its stack.
    """

    def __init__(
        self,
        server: AirflowServer,
        parts: tuple[AirflowDeployer, Any, FakeRunner],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.server = server
        self.deployer, _api, self.runner = parts
        self._capsys = capsys

    def collection(self, path: str, *items: dict[str, Any]) -> None:
        """Set the items of a collection, whose path is its field too."""
        field = {"dagRuns": "dag_runs"}.get(path.rpartition("/")[2], path.rpartition("/")[2])
        self.server.answer("GET", path, (200, {field: list(items), "total_entries": len(items)}))

    def result(self, result: Any, returncode: int = 0, stderr: str = "") -> None:
        """Set the result of the next programs in the scheduler's pod."""
        stdout = f"a message\nDEVSTACK_RESULT {json.dumps(result)}\n"
        self.runner.answer(KUBECTL, stdout=stdout, returncode=returncode, stderr=stderr)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the last program."""
        last = str(self.runner.calls[-1].input).strip().splitlines()[-1]
        text = last.removeprefix("main(**json.loads(").removesuffix("))")
        found: dict[str, Any] = json.loads(eval(text))
        return found

    def call(self, *argv: str) -> tuple[int, dict[str, Any]]:
        """Run a command of `devstack airflow`; return its status and its envelope."""
        status = run(["airflow", *argv, "--json"], Output())
        shown = self._capsys.readouterr()
        assert shown.err == ""
        envelope: dict[str, Any] = json.loads(shown.out)
        return status, envelope

    def printed(self, *argv: str) -> str:
        """Run a command that succeeds; return what it prints."""
        assert run(["airflow", *argv], Output()) == ExitStatus.OK
        return self._capsys.readouterr().out


@pytest.fixture
def platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Platform]:
    """The stack's Airflow, with a DAG that is called Daily."""
    server = AirflowServer()
    parts = airflow_deployer(server, tmp_path / "stack", monkeypatch)
    monkeypatch.setattr("devstack.stack.open_stack", lambda *_a, **_o: parts[0].stack)
    monkeypatch.chdir(tmp_path)
    found = Platform(server, parts, capsys)
    found.collection("/dags", {"dag_id": "Daily", "is_paused": False})
    server.answer("GET", "/dags/Daily/details", (200, DETAILS))
    yield found
    server.stop()


def planned(date: str, *, state: str = "queued", created: bool = True) -> dict[str, Any]:
    return {
        "logical_date": date,
        "run_id": f"backfill__{date}",
        "state": state,
        "created": created,
    }


def dag_run(date: str, state: str) -> dict[str, Any]:
    return {
        "dag_id": "Daily",
        "dag_run_id": f"backfill__{date}",
        "state": state,
        "run_type": "manual",
    }


def made(*runs: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"scheduled": True, "runs": list(runs), "not_due": "", **others}


def test_a_backfill_creates_a_run_for_each_date_that_has_none(platform: Platform) -> None:
    platform.result(made(planned(DAYS[0], state="success", created=False), planned(DAYS[1])))
    status, envelope = platform.call(*BACKFILL, "-p", "n=3", "--date-param", "day")
    assert status == ExitStatus.OK
    assert [each["action"] for each in envelope["data"]["runs"]] == ["skip", "create"]
    sent = platform.arguments()
    assert (sent["conf"], sent["date_parameters"]) == ({"n": 3}, {"day": "ds"})
    assert (sent["start"], sent["end"]) == (DAYS[0], "2026-11-03T00:00:00+00:00")
    assert platform.server.requested("POST") == []


def test_a_followed_backfill_ends_with_its_runs(platform: Platform) -> None:
    platform.result(made(planned(DAYS[0]), planned(DAYS[1])))
    running = [dag_run(DAYS[0], "success"), dag_run(DAYS[1], "running")]
    ended = [dag_run(date, "success") for date in DAYS]
    pages = [(200, {"dag_runs": runs, "total_entries": 2}) for runs in (running, ended)]
    platform.server.answer("GET", "/dags/Daily/dagRuns", *pages)
    for date in DAYS:
        path = f"/dags/Daily/dagRuns/backfill__{date}/taskInstances".replace(":", "%3A")
        task = {"task_id": "start", "state": "success"}
        answer = (200, {"task_instances": [task], "total_entries": 1})
        platform.server.answer("GET", path.replace("+", "%2B"), answer)
    status, envelope = platform.call(*BACKFILL, "--wait")
    assert status == ExitStatus.OK
    assert [each["state"] for each in envelope["data"]["runs"]] == ["success", "success"]


def test_a_run_of_a_backfill_that_would_wait_forever_is_stopped(platform: Platform) -> None:
    platform.deployer.stack.state.airflow = {"executor": "CeleryExecutor"}
    platform.result(made(planned(DAYS[0])))
    states = [
        (200, {"dag_runs": [dag_run(DAYS[0], state)], "total_entries": 1})
        for state in ("running", "failed")
    ]
    platform.server.answer("GET", "/dags/Daily/dagRuns", *states)
    path = f"/dags/Daily/dagRuns/backfill__{DAYS[0]}".replace(":", "%3A").replace("+", "%2B")
    task = {"task_id": "start", "state": "queued", "queue": "gpu"}
    answer = (200, {"task_instances": [task], "total_entries": 1})
    platform.server.answer("GET", f"{path}/taskInstances", answer)
    platform.server.answer("PATCH", path, (200, {}))
    status, envelope = platform.call(*BACKFILL, "--wait")
    assert (status, envelope["error"]["code"]) == (ExitStatus.FLOW_FAILED, "QUEUE_WITHOUT_WORKER")
    assert platform.server.requested("PATCH") == [(path, {"state": "failed"})]


def test_a_failed_run_of_a_backfill_is_reported_with_how_to_run_it_again(
    platform: Platform,
) -> None:
    platform.result(made(planned(DAYS[0])))
    platform.collection("/dags/Daily/dagRuns", dag_run(DAYS[0], "failed"))
    path = f"/dags/Daily/dagRuns/backfill__{DAYS[0]}/taskInstances"
    platform.server.answer(
        "GET",
        path.replace(":", "%3A").replace("+", "%2B"),
        (200, {"task_instances": [], "total_entries": 0}),
    )
    status, envelope = platform.call(*BACKFILL, "--wait")
    assert status == ExitStatus.FLOW_FAILED
    assert envelope["error"]["code"] == "RUN_FAILED"
    assert "--rerun-failed" in envelope["error"]["remedy"]


def test_failed_tasks_run_again_on_request_only(platform: Platform) -> None:
    platform.result(made(planned(DAYS[0], state="failed", created=False)))
    platform.server.answer(
        "POST", "/dags/Daily/clearTaskInstances", (200, {"task_instances": [{}]})
    )
    platform.call(*BACKFILL)
    assert platform.server.requested("POST") == []
    _, envelope = platform.call(*BACKFILL, "--rerun-failed")
    assert envelope["data"]["runs"][0]["action"] == "rerun"
    [(path, body)] = platform.server.requested("POST")
    assert path == "/dags/Daily/clearTaskInstances"
    assert body["dag_run_id"] == f"backfill__{DAYS[0]}"


def test_dates_that_are_not_due_are_reported(platform: Platform) -> None:
    platform.result(made(planned(DAYS[0]), not_due=DAYS[1]))
    _, envelope = platform.call(*BACKFILL)
    assert DAYS[1] in envelope["warnings"][0]


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ({"scheduled": False}, "DAG_UNSCHEDULED"),
        ({"scheduled": True, "too_many": True}, "BACKFILL_DATES"),
    ],
)
def test_a_backfill_without_dates_or_with_too_many_is_refused(
    platform: Platform, result: dict[str, Any], code: str
) -> None:
    platform.result(result)
    assert platform.call(*BACKFILL)[1]["error"]["code"] == code


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--param", "m=1"], "PARAMETER_WRONG"),
        (["--date-param", "dya"], "PARAMETER_WRONG"),
        (["--date-param", "day=noon"], "USAGE"),
        (["--end", "2026-10-31"], "BACKFILL_DATES"),
        (["--end", "yesterday"], "USAGE"),
    ],
)
def test_wrong_options_of_a_backfill_are_refused_before_anything_runs(
    platform: Platform, options: list[str], code: str
) -> None:
    status, envelope = platform.call(*BACKFILL, *options)
    assert (status, envelope["error"]["code"]) == (ExitStatus.USAGE, code)
    assert platform.runner.calls == []


def test_a_paused_dag_is_not_backfilled(platform: Platform) -> None:
    platform.server.answer("GET", "/dags/Daily/details", (200, {**DETAILS, "is_paused": True}))
    assert platform.call(*BACKFILL)[1]["error"]["code"] == "DAG_PAUSED"


def test_a_program_that_fails_is_reported_with_its_last_line(platform: Platform) -> None:
    platform.runner.answer(KUBECTL, returncode=1, stderr="Traceback\nKeyError: 'x'\n")
    _, envelope = platform.call(*BACKFILL)
    assert envelope["error"]["code"] == "AIRFLOW_PROGRAM_FAILED"
    assert envelope["error"]["cause"] == "KeyError: 'x'"


def tasks(platform: Platform) -> None:
    found = [{"task_id": "start"}, {"task_id": "work", "is_mapped": True}]
    platform.server.answer("GET", "/dags/Daily/tasks", (200, {"tasks": found}))


def test_a_task_is_tested_with_the_status_and_the_log_of_the_test(platform: Platform) -> None:
    tasks(platform)
    platform.runner.answer(KUBECTL, stdout="first\nsecond\n", returncode=7)
    status, envelope = platform.call("test", "Daily", "work[2]", "--date", "2026-11-01")
    assert status == envelope["data"]["returncode"] == 7
    assert envelope["data"]["lines"] == ["first", "second"]
    sent = platform.arguments()
    assert (sent["task_id"], sent["map_index"], sent["date"]) == ("work", 2, DAYS[0])


@pytest.mark.parametrize(
    ("task", "remedy"), [("strat", "start"), ("work", "work[0]"), ("start[1]", "without [1]")]
)
def test_a_wrong_task_is_reported_with_the_right_one(
    platform: Platform, task: str, remedy: str
) -> None:
    tasks(platform)
    status, envelope = platform.call("test", "Daily", task)
    assert (status, envelope["error"]["code"]) == (ExitStatus.USAGE, "TASK_UNKNOWN")
    assert remedy in envelope["error"]["remedy"]


def test_an_interrupted_test_stops_the_task_in_its_pod(platform: Platform) -> None:
    tasks(platform)

    def interrupt(call: Any) -> None:
        if "python3" in call.argv:
            raise KeyboardInterrupt

    platform.runner.answer(KUBECTL, effect=interrupt)
    assert run(["airflow", "test", "Daily", "start"], Output()) == ExitStatus.INTERRUPTED
    tested, stopped = platform.runner.calls
    assert stopped.argv[-1] in str(tested.input)
    assert "kill -TERM" in " ".join(stopped.argv)


def test_a_pool_is_created_and_changed(platform: Platform) -> None:
    pool = {"name": "few", "slots": 2}
    platform.server.answer("GET", "/pools/few", (404, {}), (200, pool))
    platform.server.answer("POST", "/pools", (200, pool))
    platform.server.answer("PATCH", "/pools/few", (200, {**pool, "slots": 3}))
    assert platform.call("pools", "set", "few", "2")[1]["data"]["created"] is True
    changed = platform.call("pools", "set", "few", "3", "--description", "one API")[1]["data"]
    assert (changed["created"], changed["pool"]["slots"]) == (False, 3)
    sent = {"name": "few", "slots": 3, "description": "one API"}
    assert platform.server.requested("PATCH") == [("/pools/few", sent)]


def test_pools_are_listed(platform: Platform) -> None:
    platform.collection("/pools", {"name": "default_pool", "slots": -1, "running_slots": 3})
    assert "default_pool    any        3" in platform.printed("pools", "list")


@pytest.mark.parametrize(
    ("argv", "collection", "item", "code"),
    [
        (("pools", "delete", "fwe"), "/pools", {"name": "few"}, "POOL_UNKNOWN"),
        (("variables", "get", "fwe"), "/variables", {"key": "few"}, "VARIABLE_UNKNOWN"),
        (("variables", "delete", "fwe"), "/variables", {"key": "few"}, "VARIABLE_UNKNOWN"),
        (
            ("connections", "delete", "fwe"),
            "/connections",
            {"connection_id": "few"},
            "CONNECTION_UNKNOWN",
        ),
        (
            ("connections", "test", "fwe"),
            "/connections",
            {"connection_id": "few"},
            "CONNECTION_UNKNOWN",
        ),
    ],
)
def test_an_unknown_name_is_reported_with_the_closest_match(
    platform: Platform, argv: tuple[str, ...], collection: str, item: dict[str, Any], code: str
) -> None:
    platform.collection(collection, item)
    platform.result({"found": False})
    status, envelope = platform.call(*argv)
    assert (status, envelope["error"]["code"]) == (ExitStatus.USAGE, code)
    assert "did you mean 'few'?" in envelope["error"]["remedy"]
    assert platform.server.requested("DELETE") == []


def test_the_default_pool_cannot_be_deleted(platform: Platform) -> None:
    platform.collection("/pools", {"name": "default_pool"})
    assert platform.call("pools", "delete", "default_pool")[1]["error"]["code"] == "POOL_NEEDED"


def test_a_password_is_read_from_standard_input(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.server.answer("POST", "/connections", (200, {}))
    monkeypatch.setattr("sys.stdin", io.StringIO("s3cret\n"))
    argv = ("connections", "add", "shop", "--type", "postgres", "--port", "5432", "--password")
    status, envelope = platform.call(*argv)
    assert status == ExitStatus.OK
    assert "s3cret" not in json.dumps(envelope)
    [(_, body)] = platform.server.requested("POST")
    assert (body["password"], body["port"], body["conn_type"]) == ("s3cret", 5432, "postgres")


def test_an_existing_connection_is_replaced_on_request_only(
    platform: Platform, tmp_path: Path
) -> None:
    platform.server.answer("GET", "/connections/shop", (200, {}))
    platform.server.answer("PATCH", "/connections/shop", (200, {}))
    (tmp_path / "extra.json").write_text('{"sslmode": "require"}')
    argv = ("connections", "add", "shop", "--type", "http", "--extra-file", "extra.json")
    assert platform.call(*argv)[1]["error"]["code"] == "CONNECTION_EXISTS"
    (tmp_path / "password").write_text("s3cret")
    replacing = (*argv, "--replace", "--password-file", "password")
    assert platform.call(*replacing)[0] == ExitStatus.OK
    [(_, body)] = platform.server.requested("PATCH")
    assert (body["extra"], body["host"]) == ('{"sslmode": "require"}', None)
    assert body["password"] == "s3cret"


def test_a_connection_without_a_password_keeps_none_of_before(platform: Platform) -> None:
    platform.server.answer("POST", "/connections", (200, {}))
    argv = ("connections", "add", "shop", "--type", "http", "--host", "other")
    assert platform.call(*argv)[0] == ExitStatus.OK
    platform.server.answer("GET", "/connections/shop", (200, {}))
    platform.server.answer("DELETE", "/connections/shop", (204, ""))
    assert platform.call(*argv, "--replace")[0] == ExitStatus.OK
    assert len(platform.server.requested("DELETE")) == 1
    expected = {"connection_id": "shop", "conn_type": "http", "host": "other"}
    assert [body for _, body in platform.server.requested("POST")] == [expected] * 2


def test_extra_fields_must_be_json_and_are_not_quoted_in_the_error(
    platform: Platform, tmp_path: Path
) -> None:
    (tmp_path / "extra.json").write_text("token: s3cret")
    argv = ("connections", "add", "shop", "--type", "http", "--extra-file", "extra.json")
    error = platform.call(*argv)[1]["error"]
    assert error["code"] == "CONNECTION_EXTRA"
    assert "s3cret" not in json.dumps(error)


def test_connections_are_listed_without_secrets(platform: Platform) -> None:
    item = {"connection_id": "shop", "conn_type": "postgres", "host": "db", "login": "me"}
    platform.collection("/connections", item)
    platform.result({"shop": {"password": "s3cret", "extra": ""}})
    assert platform.printed("connections", "list").endswith("shop        postgres  me@db\n")
    assert platform.runner.calls == []
    assert "password: s3cret" in platform.printed("connections", "list", "--secrets")


@pytest.mark.parametrize("ok", [True, False])
def test_a_connection_is_tested_where_tasks_run(platform: Platform, ok: bool) -> None:
    platform.result({"found": True, "ok": ok, "message": "refused", "type": "postgres"})
    status, envelope = platform.call("connections", "test", "shop")
    assert status == (ExitStatus.OK if ok else ExitStatus.FAILED)
    assert ok or envelope["error"]["cause"] == "refused"
    assert platform.arguments() == {"test": "shop"}


def test_values_of_sensitive_keys_are_masked_in_the_list(platform: Platform) -> None:
    items = [{"key": "region", "value": "north"}, {"key": "API_TOKEN", "value": "s3cret"}]
    platform.collection("/variables", *items)
    listed = platform.printed("variables", "list")
    assert "north" in listed
    assert "s3cret" not in listed
    assert "s3cret" in platform.printed("variables", "list", "--secrets")


def test_a_variable_is_set_from_an_argument_or_a_file(platform: Platform, tmp_path: Path) -> None:
    platform.server.answer("POST", "/variables", (200, {}))
    assert platform.call("variables", "set", "region", "north")[1]["data"]["created"] is True
    (tmp_path / "token").write_text("s3cret\n")
    platform.call("variables", "set", "api_token", "--file", "token")
    bodies = [body for _, body in platform.server.requested("POST")]
    expected = [("region", "north"), ("api_token", "s3cret")]
    assert bodies == [{"key": key, "value": value} for key, value in expected]


def test_a_secret_is_not_accepted_as_an_argument(platform: Platform) -> None:
    error = platform.call("variables", "set", "api_token", "s3cret")[1]["error"]
    assert error["code"] == "SECRET_IN_ARGUMENTS"
    assert "s3cret" not in json.dumps(error)
    assert platform.server.requests == []


def test_an_export_that_fails_leaves_the_file_of_before(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    platform.collection("/variables", {"key": "region", "value": "eu"})
    (tmp_path / "out.json").write_text("{}")
    monkeypatch.setattr("devstack.cli.airflow.variables.export.os.fdopen", full)
    status, envelope = platform.call("variables", "export", "out.json")
    assert (status, envelope["error"]["code"]) == (ExitStatus.USAGE, "FILE_UNWRITABLE")
    assert (tmp_path / "out.json").read_text() == "{}"
    assert not list(tmp_path.glob(".out.json*"))


def test_variables_are_exported_to_a_private_file_and_imported(
    platform: Platform, tmp_path: Path
) -> None:
    values = {"text": "north", "list": "[1, 2]", "version": "1.10"}
    platform.collection("/variables", *({"key": k, "value": v} for k, v in values.items()))
    platform.call("variables", "export", "out.json")
    assert (tmp_path / "out.json").stat().st_mode & 0o777 == 0o600
    exported = {"text": "north", "list": [1, 2], "version": "1.10"}
    assert json.loads((tmp_path / "out.json").read_text()) == exported
    existing = [{"key": key, "value": "kept"} for key in ("text", "version")]
    platform.collection("/variables", *existing)
    platform.server.answer("POST", "/variables", (200, {}))
    status, envelope = platform.call("variables", "import", "out.json", "--existing", "skip")
    assert (status, envelope["data"]["skipped"]) == (ExitStatus.OK, ["text", "version"])
    [(_, body)] = platform.server.requested("POST")
    assert (body["key"], json.loads(body["value"])) == ("list", [1, 2])


@pytest.mark.parametrize("text", ["[]", "region: north"])
def test_a_file_that_holds_no_variables_is_refused(
    platform: Platform, tmp_path: Path, text: str
) -> None:
    (tmp_path / "in.json").write_text(text)
    error = platform.call("variables", "import", "in.json")[1]["error"]
    assert error["code"] == "VARIABLES_INVALID"
