from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from devstack.client_files import EXTENSION_FOLDER, client_files_current
from devstack.environment import build_environment, conflicting_variables
from devstack.lifecycle.up import up
from tests.fakes.stack import World


@pytest.fixture
def ready(world: World) -> World:
    up(world.open())
    return world


def test_clients_get_the_submitters_kubeconfig(ready: World) -> None:
    config = yaml.safe_load(ready.open().dir.kubeconfig.read_text())
    assert [user["user"] for user in config["users"]] == [{"token": "submitter"}]
    assert config["contexts"][0]["context"]["namespace"] == "metaflow"


def test_metaflow_is_configured_by_the_outputs_of_services(ready: World) -> None:
    stack = ready.open()
    config = json.loads((stack.dir.metaflow_home / "config_devstack.json").read_text())
    assert config == {"METAFLOW_RBAC": "metaflow", "METAFLOW_MINIO": "metaflow"}


def test_the_environment_points_everything_at_the_stack(ready: World) -> None:
    stack = ready.open()
    environment = build_environment(stack)
    assert environment["KUBECONFIG"] == str(stack.dir.kubeconfig)
    assert environment["METAFLOW_HOME"] == str(stack.dir.metaflow_home)
    assert environment["METAFLOW_PROFILE"] == "devstack"
    assert environment["MINIO_KEY"] == stack.state.credentials["minio"]
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        assert Path(environment[name]).read_text() == ""


def test_metaflows_files_are_removed_with_the_stack(
    ready: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("METAFLOW_TEMPDIR", raising=False)
    scratch = Path(build_environment(ready.open())["METAFLOW_TEMPDIR"])
    assert scratch.is_dir()
    assert scratch.is_relative_to(ready.open().dir.path)
    monkeypatch.setenv("METAFLOW_TEMPDIR", "/large/disk")
    assert build_environment(ready.open())["METAFLOW_TEMPDIR"] == "/large/disk"


def test_the_users_own_settings_are_overridden(
    ready: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAFLOW_MINIO", "the user's own")
    assert build_environment(ready.open())["METAFLOW_MINIO"] == "metaflow"
    assert "METAFLOW_RBAC" not in build_environment(ready.open())


def test_the_users_own_files_are_never_written(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "user"
    for name in (".kube/config", ".aws/config", ".metaflowconfig/config.json"):
        (theirs / name).parent.mkdir(parents=True)
        (theirs / name).write_text("theirs")
    monkeypatch.setenv("HOME", str(theirs))
    monkeypatch.setenv("KUBECONFIG", str(theirs / ".kube" / "config"))
    up(world.open())
    build_environment(world.open())
    assert {path.read_text() for path in theirs.rglob("*") if path.is_file()} == {"theirs"}


@pytest.mark.parametrize(
    "name", ["kubeconfig", "metaflow/config_devstack.json", "metaflow/aws/config"]
)
def test_a_file_that_is_missing_is_written_again(ready: World, name: str) -> None:
    path = ready.open().dir.path / name
    path.unlink()
    assert not client_files_current(ready.open())
    assert up(ready.open()) == ["access"]
    assert path.exists()


def test_a_setting_that_changed_is_written_again(ready: World) -> None:
    stack = ready.open()
    (stack.dir.metaflow_home / "config_devstack.json").write_text("{}")
    assert up(ready.open()) == ["access"]


def test_credentials_are_kept_apart_from_addresses(ready: World) -> None:
    outputs = ready.open().outputs()
    secrets = set(outputs.secrets.values())
    assert secrets == set(ready.open().state.credentials.values())
    assert not secrets & {*outputs.urls.values(), *outputs.metaflow.values()}


def test_variables_that_redirect_programs_are_unset(
    ready: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("METAFLOW_SERVICE_URL", "METAFLOW_KUBERNETES_NODE_SELECTOR", "METAFLOW_MINIO"):
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("METAFLOW_DEBUG_SUBCOMMAND", "1")
    unset = conflicting_variables(ready.open())
    assert unset[-2:] == ["METAFLOW_KUBERNETES_NODE_SELECTOR", "METAFLOW_SERVICE_URL"]
    assert {"AWS_PROFILE", "AWS_SESSION_TOKEN"} <= set(unset)


@pytest.mark.parametrize(
    ("names", "wanted"), [({}, "devstack"), ({"USER": "root"}, "devstack"), ({"USER": "ann"}, None)]
)
def test_metaflow_always_finds_a_user(
    ready: World,
    monkeypatch: pytest.MonkeyPatch,
    names: dict[str, str],
    wanted: str | None,
) -> None:
    for variable in ("METAFLOW_USER", "SUDO_USER", "USERNAME", "USER"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in names.items():
        monkeypatch.setenv(variable, value)
    assert build_environment(ready.open()).get("METAFLOW_USER") == wanted


PROXIES = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]


@pytest.mark.parametrize("name", PROXIES)
def test_loopback_is_exempt_from_a_proxy(
    ready: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for each in (*PROXIES, "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(each, raising=False)
    assert "NO_PROXY" not in build_environment(ready.open())
    monkeypatch.setenv(name, "http://proxy:3128")
    assert build_environment(ready.open())["no_proxy"] == "127.0.0.1,localhost"
    monkeypatch.setenv("NO_PROXY", ".corp, localhost")
    assert build_environment(ready.open())["no_proxy"] == ".corp,localhost,127.0.0.1"
    monkeypatch.setenv("no_proxy", ".other")
    assert build_environment(ready.open())["NO_PROXY"] == ".corp,localhost,.other,127.0.0.1"
    monkeypatch.setenv("no_proxy", "*")
    assert build_environment(ready.open())["NO_PROXY"] == "*"


@pytest.mark.parametrize(
    ("theirs", "kept"),
    [
        ("", []),
        ("/one:/two", ["/one", "/two"]),
        # An empty entry is the current folder.
        (":/one", ["", "/one"]),
        (f"/one:{EXTENSION_FOLDER}:/two", ["/one", "/two"]),
        ("/other/devstack/metaflow_extension:/one", ["/one"]),
    ],
)
def test_the_metaflow_extension_is_added_to_the_users_modules(
    ready: World, monkeypatch: pytest.MonkeyPatch, theirs: str, kept: list[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", theirs)
    monkeypatch.setenv("METAFLOW_EXTENSIONS_SEARCH_DIRS", "/theirs")
    environment = build_environment(ready.open())
    assert environment["PYTHONPATH"] == os.pathsep.join([*kept, str(EXTENSION_FOLDER)])
    searched = environment["METAFLOW_EXTENSIONS_SEARCH_DIRS"]
    assert searched == f"/theirs{os.pathsep}{EXTENSION_FOLDER}"
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])
    assert build_environment(ready.open())["PYTHONPATH"] == environment["PYTHONPATH"]


def test_the_metaflow_extension_finds_this_installation_of_devstack(
    ready: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable = tmp_path / "bin" / "devstack"
    executable.parent.mkdir()
    executable.touch()
    monkeypatch.setattr("sys.executable", str(executable.with_name("python")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEVSTACK_HOME", "theirs")
    environment = build_environment(ready.open())
    assert environment["DEVSTACK_EXECUTABLE"] == str(executable)
    assert environment["DEVSTACK_HOME"] == str(tmp_path / "theirs")


def test_metaflow_searches_extensions_everywhere_unless_the_user_restricts_it(
    ready: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("METAFLOW_EXTENSIONS_SEARCH_DIRS", raising=False)
    assert "METAFLOW_EXTENSIONS_SEARCH_DIRS" not in build_environment(ready.open())
