from __future__ import annotations

from pathlib import Path

import pytest

from devstack import tools
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import KubeClient
from devstack.providers.base import ClusterSpec
from devstack.providers.choose import ProviderParts, make_provider, require_usable
from devstack.providers.context import ContextProvider
from devstack.state import StackDir
from tests.fakes.api import FakeApi
from tests.fakes.runner import FakeClock, FakeRunner, Recorder
from tests.fakes.stack import FakeImages, kubeconfig

SPEC = ClusterSpec("ci", context="fake", timeout=60)


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi()
    fake.objects["/readyz"] = {}
    monkeypatch.setattr(KubeClient, "from_kubeconfig", lambda *_a, **_o: fake.client())
    return fake


@pytest.fixture
def provider(
    runner: FakeRunner, api: FakeApi, home: Path, monkeypatch: pytest.MonkeyPatch
) -> ContextProvider:
    monkeypatch.setenv("KUBECONFIG", "theirs")
    monkeypatch.setattr(tools, "ensure_kubectl", lambda *_arguments, **_options: Path("kubectl"))
    return ContextProvider(runner, FakeClock(), Recorder())


def problem(provider: ContextProvider, spec: ClusterSpec = SPEC) -> tuple[str, str]:
    (found,) = provider.check(spec)
    return found.code, f"{found.message}; {found.remedy}"


def test_a_missing_kubeconfig_is_a_problem(provider: ContextProvider) -> None:
    code, text = problem(provider)
    assert code == "KUBECONFIG_MISSING"
    assert "KUBECONFIG" in text


def test_the_default_kubeconfig_is_read_without_kubeconfig(
    provider: ContextProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(kubeconfig())
    assert provider.check(SPEC) == []


def test_all_files_of_kubeconfig_count(
    provider: ContextProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("first").write_text("")
    Path("second").write_text(kubeconfig())
    monkeypatch.setenv("KUBECONFIG", "first:nowhere:second")
    assert provider.check(SPEC) == []


@pytest.mark.parametrize(
    ("context", "message"), [("", "no context is given"), ("fakee", "there is no context 'fakee'")]
)
def test_a_missing_context_is_a_problem_that_lists_the_existing_ones(
    provider: ContextProvider, context: str, message: str
) -> None:
    Path("theirs").write_text(kubeconfig())
    code, text = problem(provider, ClusterSpec("ci", context=context))
    assert code == "CONTEXT_MISSING"
    assert text == f"{message}; devstack up --provider context --context NAME, one of fake"


def test_an_unreadable_kubeconfig_is_an_error(
    provider: ContextProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("folder").mkdir()
    monkeypatch.setenv("KUBECONFIG", "folder")
    with pytest.raises(DevstackError) as caught:
        provider.check(SPEC)
    assert caught.value.code == "KUBECONFIG_BROKEN"


def test_only_the_chosen_context_is_returned(provider: ContextProvider, runner: FakeRunner) -> None:
    runner.answer("kubectl", stdout=kubeconfig())
    assert provider.ensure(SPEC) == kubeconfig()
    assert runner.argvs == [
        ("kubectl", "config", "view", "--raw", "--minify", "--flatten", "--context", "fake")
    ]


def test_a_context_that_was_removed_is_an_error(
    provider: ContextProvider, runner: FakeRunner
) -> None:
    runner.answer("kubectl", returncode=1, stderr='error: cannot locate context "fake"\n')
    with pytest.raises(DevstackError) as caught:
        provider.ensure(SPEC)
    assert (caught.value.code, caught.value.exit_status) == ("CONTEXT_MISSING", ExitStatus.USAGE)


def test_a_cluster_that_does_not_answer_is_awaited_and_named(
    provider: ContextProvider, runner: FakeRunner, api: FakeApi
) -> None:
    runner.answer("kubectl", stdout=kubeconfig())
    del api.objects["/readyz"]
    with pytest.raises(DevstackError) as caught:
        provider.ensure(SPEC)
    assert caught.value.code == "WAIT_TIMEOUT"
    assert provider.status(SPEC).state == "unreachable"


def test_status_and_delete_do_not_change_the_cluster(
    provider: ContextProvider, runner: FakeRunner, api: FakeApi
) -> None:
    runner.answer("kubectl", stdout=kubeconfig())
    assert provider.status(SPEC).state == "running"
    provider.delete(SPEC)
    assert api.writes == []
    assert [argv[1:3] for argv in runner.argvs] == [("config", "view")]


def test_auto_without_docker_suggests_docker_or_a_context(home: Path) -> None:
    images = FakeImages()
    provider = make_provider(
        "auto", ProviderParts(StackDir("ci"), images, FakeRunner(), FakeClock(), Recorder())
    )  # type: ignore[arg-type]
    with pytest.raises(DevstackError) as caught:
        require_usable(provider, SPEC)
    error = caught.value
    assert (error.code, error.exit_status) == ("DOCKER_MISSING", ExitStatus.ENVIRONMENT)
    assert "./scripts/prepare-docker" in error.remedy
    assert "devstack up --context NAME" in error.remedy
