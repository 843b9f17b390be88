"""What devstack's Metaflow extension changes in metaflow-kubeflow, which is not installed here.

The package itself is compiled with in ``tests/conformance/kubeflow``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from metaflow.exception import MetaflowException
from metaflow.user_configs.config_options import ConfigInput

from devstack.client_files import EXTENSION_FOLDER
from devstack.metaflow_extension.metaflow_extensions.devstack.plugins import (
    kubeflow_checks,
    kubeflow_parameters,
    kubeflow_patches,
    kubeflow_pod_settings,
    kubeflow_schedule,
)
from tests.support.metaflow_extension import FakeDevstack

PACKAGE = "metaflow_extensions/kubeflow_pipelines_ext/plugins/kubeflow_pipelines"


def node(name: str = "work", **more: Any) -> SimpleNamespace:
    return SimpleNamespace(
        **{"name": name, "parallel_step": False, "type": "linear", "decorators": [], **more}
    )


def flow(parameters: tuple[str, ...] = (), **decorators: Any) -> SimpleNamespace:
    found = [(name, SimpleNamespace(name=name)) for name in parameters]
    return SimpleNamespace(
        name="MyFlow",
        _flow_decorators={
            name: [SimpleNamespace(attributes=each)] for name, each in decorators.items()
        },
        _get_parameters=lambda: found,
    )


def test_a_flow_without_problems_passes() -> None:
    kubeflow_checks.check_flow(flow(("n",), schedule={"cron": "* * * * *"}), [node()], ["a:b"])


@pytest.mark.parametrize(
    ("checked", "graph", "tags", "text"),
    [
        (flow(), [node(parallel_step=True)], (), "step work: @parallel"),
        (flow(), [node(type="split-switch")], (), "step work: a condition"),
        (flow(), [node(decorators=[SimpleNamespace(name="batch")])], (), "@batch"),
        (flow(trigger={}), [], (), "@trigger: events"),
        (flow(exit_hook={}), [], (), "@exit_hook"),
        (flow(schedule={"timezone": "Europe/Berlin"}), [], (), "timezone"),
        (flow(("my-n",)), [], (), "rename it to my_n"),
        (flow(("größe",)), [], (), "letters from a to z"),
        (flow(), [], ("a b",), "tag 'a b'"),
    ],
)
def test_what_cannot_run_is_refused_by_name(
    checked: Any, graph: Any, tags: tuple[str, ...], text: str
) -> None:
    with pytest.raises(kubeflow_checks.UnsupportedOnKubeflowError, match="instead: ") as caught:
        kubeflow_checks.check_flow(checked, graph, tags)
    assert text in str(caught.value)


def test_all_problems_are_named_at_once() -> None:
    found = kubeflow_checks.find_problems(flow(("my-n",), trigger={}), [node(parallel_step=True)])
    assert len(found) == 3


@pytest.mark.parametrize(
    ("text", "cron"),
    [
        ("30 6 * * 1-5", "0 30 6 * * 1-5"),
        # AWS: a question mark for the day, or for the weekday.
        ("30 6 ? * MON-FRI *", "0 30 6 ? * MON-FRI"),
        ("0 10 * * ? *", "0 0 10 * * ?"),
        # Kubeflow's own, as the package documents.
        ("0 30 6 * * ?", "0 30 6 * * ?"),
        ("0 30 6 * * 1", "0 30 6 * * 1"),
    ],
)
def test_schedules_get_seconds(text: str, cron: str) -> None:
    assert kubeflow_schedule.convert_cron(text) == cron


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("30 6 * *", "4 fields"),
        ("30 6 * * ? 2027", "has a year"),
        ("30 6 ? * 2 *", "weekday as a number"),
    ],
)
def test_schedules_that_would_mean_something_else_are_refused(text: str, reason: str) -> None:
    with pytest.raises(MetaflowException, match=reason):
        kubeflow_schedule.convert_cron(text)


@pytest.mark.parametrize(
    ("attributes", "cron"),
    [
        ({"cron": None, "weekly": False, "hourly": True}, "0 0 * * * ?"),
        ({"cron": None, "weekly": True}, "0 0 0 ? * SUN"),
        ({"cron": None, "daily": True}, "0 0 0 * * ?"),
        ({"cron": None}, None),
    ],
)
def test_presets_are_those_of_the_package(attributes: dict[str, Any], cron: str | None) -> None:
    schedule = SimpleNamespace(attributes=attributes)
    assert kubeflow_schedule.kubeflow_cron([schedule]) == cron
    assert kubeflow_schedule.kubeflow_cron(None) is None


@pytest.mark.parametrize(
    ("amount", "whole"),
    [("512.0M", "512M"), ("512M", "512M"), ("512.5M", "512500k"), ("1.0", "1"), ("0.5", "0.5")],
)
def test_amounts_have_no_fraction_that_kfp_refuses(amount: str, whole: str) -> None:
    assert kubeflow_pod_settings.whole_amount(amount) == whole


def complete(attributes: dict[str, Any], **resources: Any) -> dict[str, Any]:
    given = {
        "labels": {"app": "metaflow"},
        "annotations": {"metaflow/owner": "me"},
        "service_account": "metaflow-task",
        "secrets": [],
        "pod_resources": {"requests": {"memory": "256.0M"}, "limits": {}},
        **resources,
    }
    return kubeflow_pod_settings.complete_resources("work", given, attributes)


def settings(attributes: dict[str, Any], **resources: Any) -> dict[str, Any]:
    text = complete(attributes, **resources)["annotations"]["devstack/pod-settings"]
    found: dict[str, Any] = json.loads(text)
    return found


def test_secrets_and_the_account_are_carried_in_an_annotation() -> None:
    found = settings({}, secrets=["b", "a"])
    assert found["serviceAccountName"] == "metaflow-task"
    names = [each["secretRef"]["name"] for each in found["container"]["envFrom"]]
    assert names == ["a", "b"]


def test_extended_resources_are_requests_and_limits() -> None:
    found = settings({"extended_resources": {"example.com/chip": 2}})
    amount = {"example.com/chip": "2"}
    assert found["container"]["resources"] == {"requests": amount, "limits": amount}


def test_volumes_are_those_that_metaflow_would_mount() -> None:
    attributes = {"use_tmpfs": True, "tmpfs_size": 64, "tmpfs_path": "/t", "tmpfs_tempdir": True}
    found = settings({**attributes, "persistent_volume_claims": {"data": "/mnt"}})
    assert found["volumes"][0]["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Mi"}
    paths = [each["mountPath"] for each in found["container"]["volumeMounts"]]
    assert paths == ["/t", "/mnt"]
    assert kubeflow_pod_settings.pod_variables(attributes) == {"METAFLOW_TEMPDIR": "/t"}
    assert kubeflow_pod_settings.pod_variables({"tmpfs_tempdir": True}) == {}


def test_the_users_labels_do_not_replace_metaflows() -> None:
    found = complete({"labels": {"app": "mine", "team": None}, "annotations": {"note": "x"}})
    assert found["labels"] == {"app": "metaflow", "team": ""}
    assert found["annotations"]["note"] == "x"
    assert found["annotations"]["metaflow/step_name"] == "work"
    assert found["pod_resources"]["requests"] == {"memory": "256M"}


def test_another_namespace_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaflow.metaflow_config.KUBERNETES_NAMESPACE", "metaflow")
    complete({"namespace": "metaflow"})
    with pytest.raises(MetaflowException, match="other"):
        complete({"namespace": "other"})


def test_types_of_click_become_those_of_python() -> None:
    kinds = {"a": int, "b": SimpleNamespace(name="integer range"), "c": SimpleNamespace(name="x")}
    given = {name: {"type": kind, "value": None} for name, kind in kinds.items()}
    found = kubeflow_parameters.python_types(given)
    assert [each["type"] for each in found.values()] == [int, int, str]


def test_pods_find_the_configs_that_were_deployed() -> None:
    config = SimpleNamespace(name="my-settings", IS_CONFIG_PARAMETER=True)
    found = [("settings", config), ("n", SimpleNamespace(name="n"))]
    made = SimpleNamespace(name="MyFlow", _flow_decorators={}, _get_parameters=lambda: found)
    variables = kubeflow_parameters.config_variables(made)
    key = ConfigInput.make_key_name("my-settings")
    assert json.loads(variables["METAFLOW_FLOW_CONFIG_VALUE"]) == {"my-settings": key}
    assert kubeflow_parameters.config_variables(flow(("n",))) == {}
    # kfp does not see it, so any name is right.
    assert kubeflow_checks.find_problems(made, []) == []


def test_variables_are_texts_as_kfp_needs_them() -> None:
    class Pipelines:
        flow = SimpleNamespace(_get_parameters=lambda: [])

        def _get_environment_variables(self, _node: Any) -> dict[str, Any]:
            return {"N": 3, "TEXT": "x"}

        _get_kubernetes_resources = _process_parameters = upload = schedule = trigger = None

    Pipelines.trigger = classmethod(lambda _kind: None)  # type: ignore[assignment]
    module = SimpleNamespace(KubeflowPipelines=Pipelines)
    Pipelines.upload = Pipelines.schedule = lambda _self: None  # type: ignore[assignment]
    kubeflow_patches.PATCHES[f"{PACKAGE.replace('/', '.')}.kubeflow_pipelines"](module)
    step = node(decorators=[SimpleNamespace(name="kubernetes", attributes={})])
    assert Pipelines()._get_environment_variables(step) == {"N": "3", "TEXT": "x"}


class Client:
    """kfp's client, as far as it is patched."""

    def __init__(self, host: str | None = None, existing_token: str | None = None) -> None:
        self.token = existing_token


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("METAFLOW_KUBEFLOW_PIPELINES_URL", "http://127.0.0.1:8888")
    monkeypatch.setenv("DEVSTACK_KUBEFLOW_TOKEN", "word")
    kind = type("Client", (Client,), {})
    kubeflow_patches.PATCHES["kfp.client.client"](SimpleNamespace(Client=kind))
    return kind


def test_the_token_goes_to_the_stack_only(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client(host="http://127.0.0.1:8888/").token == "word"
    assert client("http://127.0.0.1:8888", existing_token="mine").token == "mine"
    assert client(host="http://kubeflow.example.com").token is None
    assert client().token is None
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://127.0.0.1:8888")
    assert client().token == "word"


def test_an_error_of_the_api_says_why() -> None:
    class ApiException(Exception):  # noqa: N818 - as kfp calls it
        def __init__(self, body: str) -> None:
            self.reason, self.body = "Bad Request", body

    module = SimpleNamespace(ApiException=ApiException)
    kubeflow_patches.PATCHES["kfp_server_api.exceptions"](module)
    assert ApiException('{"message": "no"}').reason == "Bad Request: no"
    assert ApiException("<html>").reason == "Bad Request"


@pytest.fixture
def finders() -> Iterator[None]:
    before = list(sys.meta_path)
    yield
    sys.meta_path[:] = before
    sys.modules.pop("devstack_patched", None)


@pytest.mark.usefixtures("finders")
def test_a_module_is_patched_when_it_is_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "devstack_patched.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)

    def patch(module: ModuleType) -> None:
        module.value += 1  # type: ignore[attr-defined]

    monkeypatch.setitem(kubeflow_patches.PATCHES, "devstack_patched", patch)
    kubeflow_patches.install()
    kubeflow_patches.install()
    import devstack_patched

    assert devstack_patched.value == 2
    assert devstack_patched.__spec__.loader.get_source("devstack_patched") == "value = 1\n"


def test_it_is_active_with_the_stacks_profile_only(tmp_path: Path) -> None:
    fake = FakeDevstack(tmp_path)
    program = """
        import sys
        found = [type(each).__module__ for each in sys.meta_path]
    """
    module = "metaflow_extensions.devstack.plugins.kubeflow_patches"
    assert module in fake.run(program)
    assert module not in fake.run(program, METAFLOW_PROFILE="", METAFLOW_HOME=str(tmp_path))


def test_without_the_package_metaflow_works_as_before(tmp_path: Path) -> None:
    fake = FakeDevstack(tmp_path)
    assert "kubeflow" not in str(fake.run("found = [name for name in dir(Deployer)]"))
    assert (EXTENSION_FOLDER / "metaflow_extensions").is_dir()
