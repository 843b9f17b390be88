"""A project's ``.metaflow/config.json`` does not redirect flows away from the stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from devstack.cli.flow_environment import flow_environment
from devstack.environment import describe_overrides
from devstack.environment_variables import overridden
from devstack.errors import DevstackError
from devstack.lifecycle.up import up
from devstack.process import SubprocessRunner, tool_environment
from devstack.project_config import find_project_config, settings_against
from tests.fakes.stack import World

STACK = {
    "METAFLOW_DEFAULT_DATASTORE": "s3",
    "METAFLOW_DEFAULT_METADATA": "service",
    "METAFLOW_SERVICE_URL": "http://127.0.0.1:8080",
    "METAFLOW_DATASTORE_SYSROOT_S3": "s3://metaflow/metaflow",
}
COMPANY = {
    "METAFLOW_DEFAULT_DATASTORE": "local",
    "METAFLOW_DEFAULT_METADATA": "local",
    "METAFLOW_SERVICE_URL": "http://127.0.0.1:9",
    "METAFLOW_DATASTORE_SYSROOT_S3": "s3://company/metaflow",
    "METAFLOW_SERVICE_HEADERS": '{"x-company": "1"}',
    "METAFLOW_KUBERNETES_NODE_SELECTOR": "pool=gpu",
    "METAFLOW_KUBERNETES_JOBSET_GROUP": "company",
    "METAFLOW_DEFAULT_ENVIRONMENT": "conda",
    "METAFLOW_DEFAULT_PACKAGE_SUFFIXES": ".py,.sql",
}
SHOW = """
import json
from metaflow import metaflow_config as c
print(json.dumps({name: getattr(c, name.removeprefix("METAFLOW_")) for name in %r}))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[object], Path]:
    """Write the configuration of a project and go to a folder below it."""
    for name in list(os.environ):
        if name.startswith("METAFLOW_"):
            monkeypatch.delenv(name)

    def write(content: object) -> Path:
        path = tmp_path / "project" / ".metaflow" / "config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        below = tmp_path / "project" / "deep" / "er"
        below.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(below)
        return path

    return write


def test_metaflow_uses_the_stacks_settings_or_its_own_defaults(
    project: Callable[[object], Path],
) -> None:
    path = project(COMPANY)
    config = find_project_config()
    assert config
    assert config.path == path
    variables = settings_against(config, STACK, SubprocessRunner())
    done = subprocess.run(
        [sys.executable, "-c", SHOW % sorted(COMPANY)],
        env=tool_environment({**variables, "METAFLOW_HOME": os.devnull}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {
        **STACK,
        "METAFLOW_SERVICE_HEADERS": {},
        "METAFLOW_KUBERNETES_NODE_SELECTOR": "",
        "METAFLOW_KUBERNETES_JOBSET_GROUP": "jobset.x-k8s.io",
        "METAFLOW_DEFAULT_ENVIRONMENT": "local",
        # What belongs to the flow is kept.
        "METAFLOW_DEFAULT_PACKAGE_SUFFIXES": ".py,.sql",
    }


def read_settings(variables: Mapping[str, str | None]) -> dict[str, object]:
    """Return all settings that Metaflow reads in the current folder, by name."""
    script = (
        "import json\n"
        "from metaflow import metaflow_config, metaflow_config_funcs as funcs\n"
        "print(json.dumps({key: each.value for key, each in funcs._all_configs.items()}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=tool_environment({**variables, "METAFLOW_HOME": os.devnull}),
        capture_output=True,
        text=True,
        check=True,
    )
    settings: dict[str, object] = json.loads(done.stdout)
    return settings


def test_every_overridden_key_gets_the_value_that_it_has_without_a_projects_file(
    project: Callable[[object], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stack = {**STACK, "METAFLOW_DATASTORE_SYSROOT_LOCAL": "/stack"}
    wanted = read_settings(stack)
    keys = overridden(wanted, {"Metaflow"})
    rejected = [each for each in keys if "_ENABLED_" in each or each.endswith("KUBERNETES_PORT")]
    changed = [each for each in keys if each not in rejected]
    assert "METAFLOW_CARD_S3ROOT" in changed
    texts = {key: "1" if isinstance(wanted[key], int) else "theirs" for key in changed}
    jsons = {key: {"their": "s"} for key in changed if isinstance(wanted[key], dict)}
    project({**texts, **jsons})
    config = find_project_config()
    assert config
    assert set(config.overridden) == set(changed)
    found = read_settings({**stack, **settings_against(config, stack, SubprocessRunner())})
    # No variable stands for None: Metaflow treats the others alike if they are empty.
    assert {
        key: found[key] for key in changed if (found[key] or None) != (wanted[key] or None)
    } == {
        "METAFLOW_CONDA_PACKAGE_S3ROOT": "s3://metaflow/metaflow/conda",
        "METAFLOW_DATATOOLS_LOCALROOT": "/stack/.metaflow/data",
        "METAFLOW_CARD_LOCALROOT": "/stack/.metaflow/mf.cards",
        "METAFLOW_SERVICE_HEADERS": {"x-api-key": ""},
    }
    assert found["METAFLOW_CARD_S3ROOT"] == "s3://metaflow/metaflow/mf.cards"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("METAFLOW_ENABLED_STEP_DECORATOR", ["kubernetes", "retry"]),
        ("METAFLOW_ENABLED_DATASTORE", []),
        ("METAFLOW_KUBERNETES_PORT", "8080"),
    ],
)
def test_a_key_that_no_variable_can_override_is_an_error(
    project: Callable[[object], Path], key: str, value: object
) -> None:
    path = project({key: value, "METAFLOW_USER": "ann"})
    with pytest.raises(DevstackError) as raised:
        find_project_config()
    assert raised.value.code == "PROJECT_CONFIG_INVALID"
    assert key in raised.value.message
    assert str(path) in raised.value.message
    project({key: None})
    assert find_project_config()


def test_a_project_without_such_a_file_changes_nothing(
    project: Callable[[object], Path],
) -> None:
    path = project({})
    config = find_project_config()
    assert config
    assert settings_against(config, STACK, SubprocessRunner()) == {}
    path.unlink()
    assert find_project_config() is None


@pytest.mark.parametrize("content", ["{", "[]", '"text"'])
def test_a_file_that_metaflow_cannot_read_is_named(
    project: Callable[[object], Path], content: str
) -> None:
    path = project(content)
    with pytest.raises(DevstackError) as raised:
        find_project_config()
    assert raised.value.code == "PROJECT_CONFIG_INVALID"
    assert str(path) in raised.value.message


def test_flows_get_the_stacks_settings_and_the_user_is_informed(
    world: World, project: Callable[[object], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    up(world.open())
    path = project({"METAFLOW_DATASTORE_SYSROOT_LOCAL": "/company", "METAFLOW_USER": "ann"})
    world.runner.answer(sys.executable, stdout='{"METAFLOW_DATASTORE_SYSROOT_LOCAL": "x"}')
    env = flow_environment(world.open())
    home = str(world.open().dir.metaflow_home)
    assert env.variables()["METAFLOW_DATASTORE_SYSROOT_LOCAL"] == home
    printed = capsys.readouterr().err
    assert printed == (
        f"devstack: overridden by the stack, from {path}: METAFLOW_DATASTORE_SYSROOT_LOCAL\n"
    )


def test_settings_of_the_users_environment_are_named_without_their_values(
    project: Callable[[object], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    project({})
    monkeypatch.setenv("METAFLOW_METADATA", "local")
    monkeypatch.setenv("METAFLOW_SERVICE_AUTH_KEY", "secret")
    monkeypatch.setenv("DEVSTACK_NAME", "second")  # as for `devstack run --name second`
    assert describe_overrides() == [
        "overridden by the stack, from your environment: METAFLOW_METADATA, "
        "METAFLOW_SERVICE_AUTH_KEY"
    ]
    monkeypatch.setenv("METAFLOW_PROFILE", "devstack")  # as in `devstack shell`
    assert describe_overrides() == []


@pytest.mark.parametrize(
    "names",
    [
        ["METAFLOW_DATASTORE", "METAFLOW_METADATA", "METAFLOW_ENVIRONMENT"],
        ["AWS_CREDENTIAL_EXPIRATION", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"],
        ["METAFLOW_KUBERNETES_IMAGE_PULL_POLICY"],
        ["PIP_USER", "PYTHONINSPECT"],
    ],
    ids=lambda names: names[0],
)
def test_variables_of_the_user_do_not_reach_a_flow_and_this_process_is_unchanged(
    world: World,
    project: Callable[[object], Path],
    monkeypatch: pytest.MonkeyPatch,
    names: list[str],
) -> None:
    up(world.open())
    project({})
    for name in names:
        monkeypatch.setenv(name, "theirs")
    before = dict(os.environ)
    env = flow_environment(world.open())
    assert not set(names) & set(env.variables())
    assert dict(os.environ) == before
    assert overridden(env.variables(), {"Metaflow"}) == [
        "METAFLOW_DATASTORE_SYSROOT_LOCAL",
        "METAFLOW_HOME",
        "METAFLOW_PROFILE",
    ]
