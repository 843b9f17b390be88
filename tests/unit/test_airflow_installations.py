"""Several installations of Airflow on one cluster."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devstack.config import StackSpec, load
from devstack.errors import DevstackError
from devstack.services.airflow.installation import Installation
from devstack.services.airflow.service import AirflowService
from devstack.services.base import Manifest, ServiceContext
from devstack.stack import Stack, open_stack
from devstack.state import StackState
from tests.fakes.runner import FakeRunner

pytestmark = pytest.mark.usefixtures("home")

SETTINGS: dict[str, Any] = {
    "executor": "LocalExecutor",
    "installations": {"team-a": {"executor": "KubernetesExecutor"}},
}


def spec(settings: dict[str, Any], **others: Any) -> StackSpec:
    given = frozenset({"airflow"})
    return replace(StackSpec(), airflow=settings, given=given, **others)  # type: ignore[arg-type]


def opened(settings: dict[str, Any], **others: Any) -> Stack:
    return open_stack(spec(settings, **others), runner=FakeRunner())


def names(services: Any) -> set[str]:
    return {each.name for each in services if "airflow" in each.name}


def objects(prefix: str, state: StackState | None = None) -> list[Manifest]:
    state = state or StackState("mine", airflow=SETTINGS, cluster="c")
    return AirflowService(Installation(prefix)).manifests(ServiceContext(state))


def identity(item: Manifest) -> tuple[str, str, str]:
    metadata = item["metadata"]
    return item["kind"], metadata.get("namespace", ""), metadata["name"]


def test_installations_share_no_object() -> None:
    first, other = ({identity(item) for item in objects(prefix)} for prefix in ("", "team-a"))
    assert not first & other
    assert ("Namespace", "", "airflow-team-a") in other
    assert ("Role", "metaflow", "airflow-tasks-team-a") in other


def test_each_has_its_own_settings_database_and_passwords() -> None:
    state = StackState("mine", airflow=SETTINGS, cluster="c")
    first, other = objects("", state), objects("team-a", state)
    texts = [
        next(item for item in each if item["kind"] == "ConfigMap")["data"]["airflow.cfg"]
        for each in (first, other)
    ]
    assert "executor = LocalExecutor" in texts[0]
    assert "executor = KubernetesExecutor" in texts[1]
    assert "namespace = airflow-team-a" in texts[1]
    secrets = [
        {json.dumps(item["data"], sort_keys=True) for item in each if item["kind"] == "Secret"}
        for each in (first, other)
    ]
    # The stack's S3 is the same one.
    assert len(secrets[0] & secrets[1]) == 1


def test_only_the_first_has_node_ports() -> None:
    assert "NodePort" in json.dumps(objects(""))
    assert "NodePort" not in json.dumps(objects("team-a"))


def test_its_pods_and_roles_name_its_own_namespace_only() -> None:
    text = json.dumps([item for item in objects("team-a") if item["kind"] != "Secret"])
    assert '"namespace": "airflow"' not in text


def test_installations_of_the_settings_are_services_of_the_stack() -> None:
    stack = opened(SETTINGS)
    assert names(stack.services) == {"airflow", "airflow-team-a"}
    assert "airflow_team_a" in stack.context(None).added_databases
    assert "airflow-team-a" not in stack.mappable_ports
    assert names(opened(SETTINGS, without=("airflow",)).services) == {"airflow-team-a"}


def test_one_that_left_the_settings_is_removed_and_others_stay() -> None:
    stack = opened(SETTINGS)
    stack.state.installations = ["team-a"]
    stack.state.airflow = SETTINGS
    stack.save()
    again = opened({"executor": "LocalExecutor"})
    assert names(again.services) == {"airflow"}
    assert names(again.disabled) == {"airflow-team-a"}


@pytest.mark.parametrize("name", ["Team", "a_b", "-a", "", "a" * 21])
def test_a_name_that_namespaces_cannot_have_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "devstack.toml"
    file.write_text(f'[airflow.installations."{name}"]\n')
    with pytest.raises(DevstackError) as refused:
        load(file)
    assert refused.value.code == "CONFIG_INVALID"
    assert repr(name) in refused.value.cause


def test_mistakes_in_the_settings_of_an_installation_are_named(tmp_path: Path) -> None:
    file = tmp_path / "devstack.toml"
    file.write_text('[airflow.installations.a]\nexecutor = "KubernetsExecutor"\n')
    with pytest.raises(DevstackError) as refused:
        load(file)
    assert "airflow.installations.a.executor" in refused.value.cause


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('dags = "git"', "another delivery"),
        ('git = {branch = "prod"}', "'git'"),
        ('requirements = "dags.txt"', "'requirements'"),
        ('broker = "redis"', '"redis"'),
    ],
)
def test_what_only_the_first_installation_can_have_is_refused(
    tmp_path: Path, line: str, what: str
) -> None:
    file = tmp_path / "devstack.toml"
    (tmp_path / "dags.txt").write_text("six\n")
    file.write_text(f"[airflow.installations.a]\n{line}\n")
    with pytest.raises(DevstackError, match="settings") as refused:
        load(file)
    assert "only [airflow]" in refused.value.cause
    assert what in refused.value.cause


def test_an_installation_may_name_the_delivery_that_it_has(tmp_path: Path) -> None:
    file = tmp_path / "devstack.toml"
    file.write_text('[airflow.installations.a]\ndags = "deploy"\nbroker = "rabbitmq"\n')
    assert load(file).airflow["installations"]["a"]["broker"] == "rabbitmq"
