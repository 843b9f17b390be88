"""The user's own airflow.cfg: merged, checked, and without secrets."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Any

import pytest

from devstack.config import StackSpec, load
from devstack.errors import DevstackError, ExitStatus
from devstack.lifecycle.setting_files import read_setting_files
from devstack.lifecycle.up import up
from devstack.services.airflow.config import FILE
from devstack.services.airflow.service import AirflowService, replaced_options
from devstack.services.base import ServiceContext
from devstack.state import StackState
from tests.fakes.stack import World

COMPLETE = """\
# a comment
[core]
executor = SequentialExecutor
dags_folder = /opt/airflow/dags
parallelism = 32
fernet_key = {FERNET_KEY}
hostname_callable = airflow.utils.net.getfqdn

[database]
sql_alchemy_conn = sqlite:////opt/airflow/airflow.db
sql_alchemy_engine_args = {}

[smtp]
smtp_host = mail%%s
smtp_password_cmd = cat /run/secret

[mine]
text = a
    second line
"""


def table(text: str, **others: Any) -> dict[str, Any]:
    return {"cfg": "airflow.cfg", "cfg_text": text, **others}


def merged(settings: dict[str, Any]) -> configparser.ConfigParser:
    ctx = ServiceContext(StackState("mine", ports={"airflow": 40880}, airflow=settings))
    objects = AirflowService().manifests(ctx)
    [config] = [item for item in objects if item["kind"] == "ConfigMap"]
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(config["data"][FILE])
    return parser


def refused(text: str) -> DevstackError:
    with pytest.raises(DevstackError) as caught:
        replaced_options(table(text))
    assert caught.value.exit_status == ExitStatus.USAGE
    return caught.value


def test_the_file_replaces_the_stacks_options_but_not_those_that_it_needs() -> None:
    found = merged(table(COMPLETE))
    assert found["core"]["parallelism"] == "32"
    assert found["smtp"]["smtp_host"] == "mail%%s"
    assert found["mine"]["text"].split() == ["a", "second", "line"]
    assert found["core"]["executor"] == "LocalExecutor"
    assert found["core"]["dags_folder"] == "/airflow/dags"
    assert not found.has_option("database", "sql_alchemy_conn")
    assert not found.has_option("core", "fernet_key")


def test_options_that_it_omits_are_the_stacks() -> None:
    assert merged(table("[core]\nparallelism = 2\n"))["scheduler"]["dag_dir_list_interval"] == "2"


def test_single_options_override_it() -> None:
    found = merged(table(COMPLETE, config={"core": {"parallelism": 8}}))
    assert found["core"]["parallelism"] == "8"


def test_replaced_options_are_named_without_their_values() -> None:
    found = replaced_options(table(COMPLETE))
    assert found == [
        "[core] dags_folder is replaced by /airflow/dags",
        "[core] executor is replaced by LocalExecutor; choose it by the setting `executor`",
        "[database] sql_alchemy_conn is replaced by the stack's Postgres",
    ]
    assert replaced_options(table("[core]\nexecutor = LocalExecutor\n")) == []


def test_options_that_settings_replace_are_named() -> None:
    assert replaced_options(table("[celery]\nworker_concurrency = 16\n")) == [
        "[celery] worker_concurrency is replaced by the setting `worker_concurrency`"
    ]
    config = {"celery": {"worker_concurrency": 16, "worker_prefetch_multiplier": 2}}
    assert replaced_options({"config": config}) == [
        "[celery] worker_concurrency has no effect; the stack uses the setting `worker_concurrency`"
    ]


@pytest.mark.parametrize(
    ("section", "option", "value"),
    [
        ("database", "sql_alchemy_conn", "postgresql://me:s3cret@db/airflow"),
        ("core", "fernet_key", "s3cret"),
        ("webserver", "secret_key", "s3cret"),
        ("celery", "broker_url", "amqp://me:s3cret@broker/"),
        ("celery", "result_backend", "db+postgresql://me:s3cret@db/x"),
        ("smtp", "smtp_password", "s3cret"),
        ("sentry", "sentry_dsn", "https://s3cret@sentry.example/1"),
        ("database", "sql_alchemy_engine_args", '{"s3cret": 1}'),
        ("mine", "api_token", "s3cret"),
        ("mine", "proxy", "http://me:s3cret@proxy"),
        ("DEFAULT", "password", "s3cret"),
        ("mine", "client_secret", "s3cret"),
    ],
)
def test_a_secret_is_refused_with_its_right_place_and_never_quoted(
    section: str, option: str, value: str
) -> None:
    error = refused(
        f"[core]\nparallelism = 1\n[{section}]\n{option} = {value}\n".replace(
            "[core]\nparallelism = 1\n[core]", "[core]"
        )
    )
    assert error.code == "AIRFLOW_CFG_SECRET"
    assert f"[{section}] {option}" in error.cause
    variable = f"AIRFLOW__{section}__{option}".upper()
    assert f"create secret generic airflow-secrets --from-file={variable}=FILE" in error.remedy
    assert "s3cret" not in f"{error} {error.remedy} {error.output}"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("parallelism = 1\n", "line 1: an option before"),
        ("[core]\nparallelism = 1\ns3cret\n", "line 3: neither"),
        ("[core]\n[smtp]\n[core]\n", "line 3: the section [core]"),
        ("[core]\na = 1\nA = s3cret\n", "line 3: [core] has a already"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_reported_with_line_and_cause(text: str, line: str) -> None:
    error = refused(text)
    assert error.code == "AIRFLOW_CFG_INVALID"
    assert error.cause.startswith(line)
    assert "s3cret" not in str(error)


def test_up_keeps_the_text_for_later_commands(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("devstack.toml").write_text('[airflow]\ncfg = "my.cfg"\n')
    Path("my.cfg").write_text("[core]\nexecutor = CeleryExecutor\n")
    stack = world.open(load())
    up(stack)
    assert stack.state.airflow["cfg_text"] == "[core]\nexecutor = CeleryExecutor\n"
    warnings = [event[1] for event in world.progress.events if event[0] == "warn"]
    assert any("airflow.cfg: [core] executor" in each for each in warnings)
    assert up(world.open(load())) == []
    Path("my.cfg").unlink()
    with pytest.raises(DevstackError) as missing:
        up(world.open(load()))
    assert missing.value.code == "SETTING_FILE_UNREADABLE"
    Path("devstack.toml").unlink()
    again = world.open(StackSpec())
    up(again)
    assert again.state.airflow == stack.state.airflow


def test_up_changes_nothing_if_the_file_has_a_secret(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("devstack.toml").write_text('[airflow]\ncfg = "my.cfg"\n')
    Path("my.cfg").write_text("[smtp]\nsmtp_password = s3cret\n")
    stack = world.open(load())
    with pytest.raises(DevstackError):
        up(stack)
    assert not stack.dir.exists()


def test_the_executor_is_chosen_by_its_own_setting_only() -> None:
    settings = {
        "executor": "KubernetesExecutor",
        "config": {"core": {"executor": "CeleryExecutor"}},
    }
    # Otherwise there would be neither a broker nor workers.
    assert merged(settings)["core"]["executor"] == "KubernetesExecutor"
    assert replaced_options(settings) == [
        "[core] executor has no effect; the stack uses the setting `executor`"
    ]


def test_up_names_the_settings_that_have_no_effect(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("devstack.toml").write_text(
        '[airflow]\nworkers = 2\n[airflow.git]\nbranch = "prod"\n'
        '[airflow.installations.a]\nexecutor = "CeleryExecutor"\nworkers = 2\n'
        'dags_volume = "mine"\n'
    )
    read_setting_files(world.open(load()))
    assert [event[1] for event in world.progress.events if event[0] == "warn"] == [
        '[airflow] `git` has no effect with dags = "deploy"',
        '[airflow] `workers` has no effect with executor = "LocalExecutor"',
        '[airflow.installations.a] `dags_volume` has no effect with dags = "deploy"',
    ]
