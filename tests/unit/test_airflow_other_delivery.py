"""What commands say where DAG files do not come from `devstack airflow deploy`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devstack.airflow_settings import AirflowSettings
from devstack.deployers.airflow.compile import CompiledDag
from devstack.deployers.airflow.deployer import AirflowDeployer, open_deployer
from devstack.deployers.airflow.other_delivery import require_deletable, require_deployable
from devstack.deployers.airflow.volume import copy_to_volume
from devstack.errors import DevstackError
from devstack.images.airflow_contents import AirflowContents
from devstack.lifecycle import airflow_image
from devstack.lifecycle.airflow_image import build_image
from devstack.services.airflow.dag_delivery import dags_folder
from devstack.services.airflow.installation import Installation
from devstack.services.base import Service
from devstack.stack import Stack
from devstack.validation import table_mistakes
from tests.fakes.airflow import FakeAirflow, airflow_stack, fake_airflow

GIT = {"dags": "git", "git": {"repo": "https://git.example/dags.git", "branch": "prod"}}


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    with fake_airflow() as served:
        yield served


@pytest.fixture
def stack(airflow: FakeAirflow, tmp_path: Path) -> Stack:
    return airflow_stack(airflow.port, tmp_path)


@pytest.mark.parametrize("settings", [{}, {"dags": "deploy"}])
def test_flows_are_deployed_by_default(stack: Stack, settings: dict[str, Any]) -> None:
    stack.state.airflow = settings
    require_deployable(stack)
    require_deletable(stack)


@pytest.mark.parametrize(
    ("settings", "cause", "remedy"),
    [
        (
            GIT,
            "Airflow gets its DAG files from Git: branch prod of https://git.example/dags.git"
            ' (dags = "git" in the table [airflow])',
            "--only-compile FOLDER/, then commit and push it",
        ),
        ({"dags": "image"}, "in Airflow's image", "devstack airflow image build FOLDER"),
        ({"dags": "volume"}, "on a volume of yours", "devstack airflow volume copy FOLDER"),
    ],
)
def test_other_deliveries_are_explained(
    stack: Stack, settings: dict[str, Any], cause: str, remedy: str
) -> None:
    stack.state.airflow = settings
    for require in (require_deployable, require_deletable):
        with pytest.raises(DevstackError) as raised:
            require(stack)
        assert raised.value.code == "DAGS_ELSEWHERE"
        assert cause in raised.value.cause
    with pytest.raises(DevstackError) as raised:
        require_deployable(stack)
    assert remedy in raised.value.remedy


@pytest.mark.usefixtures("home")
def test_other_installations_have_their_own_delivery(stack: Stack, tmp_path: Path) -> None:
    stack.state.airflow = {"dags": "volume", "installations": {"team-a": {}}}
    stack.save()
    stack.installation = Installation("team-a")
    require_deployable(stack)
    require_deletable(stack)
    for refuse in (
        lambda: copy_to_volume(stack, tmp_path, delete=True),
        lambda: build_image(stack, tmp_path),
    ):
        with pytest.raises(DevstackError) as raised:
            refuse()
        assert raised.value.code == "DAGS_ELSEWHERE"
        assert raised.value.remedy == "devstack airflow --installation team-a deploy FLOW.py"


@pytest.mark.usefixtures("home")
def test_an_image_is_built_with_the_settings_that_another_command_has_saved(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dag.py").write_text("# a DAG\n")
    saved = {"dags": "image", "executor": "CeleryExecutor", "workers": 3}
    stack.dir.write(replace(stack.state, airflow=saved))
    monkeypatch.setattr(AirflowContents, "build", lambda *_arguments: None)
    for step in ("_load", "_roll_out", "remove_image"):
        monkeypatch.setattr(airflow_image, step, lambda *_arguments: None)
    assert build_image(stack, tmp_path).changed
    kept = stack.dir.read()
    assert kept is not None
    assert kept.airflow == saved


@pytest.mark.parametrize(
    ("broken", "after"),
    [({"new"}, "it runs from the former one again"), ({"new", "old"}, "is not ready yet either")],
)
def test_a_roll_out_that_fails_names_the_reason_and_the_former_image(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, broken: set[str], after: str
) -> None:
    def run_from(_stack: Stack, _service: Service, reference: str) -> None:
        stack.state.airflow_image = reference
        if reference in broken:
            cause, remedy = f"the {reference} image is broken", "correct it"
            raise DevstackError("not ready", cause=cause, remedy=remedy, code="WAIT_TIMEOUT")

    monkeypatch.setattr(airflow_image, "_run_from", run_from)
    with pytest.raises(DevstackError) as raised:
        airflow_image._roll_out(stack, "new", "old")
    assert (raised.value.code, raised.value.cause) == ("ROLL_OUT_FAILED", "the new image is broken")
    assert after in str(raised.value)
    assert stack.state.airflow_image == "old"


@pytest.fixture
def deployer(stack: Stack) -> AirflowDeployer:
    return open_deployer(stack)


def compiled(*pools: str) -> CompiledDag:
    return CompiledDag("my.Flow", "Flow", "2026-01-01", "", pools, False, "# a DAG\n", "")


def test_a_compiled_flow_is_written_into_a_folder(
    deployer: AirflowDeployer, airflow: FakeAirflow, tmp_path: Path
) -> None:
    assert deployer.write(compiled(), tmp_path) == tmp_path / "my.Flow.py"
    assert deployer.write(compiled(), tmp_path / "dag.py").read_text() == "# a DAG\n"


@pytest.mark.parametrize(("executor", "slots"), [("LocalExecutor", 4), ("CeleryExecutor", 160)])
def test_a_new_pool_limits_no_worker(
    deployer: AirflowDeployer, airflow: FakeAirflow, tmp_path: Path, executor: str, slots: int
) -> None:
    deployer.stack.state.airflow = {"executor": executor, "worker_concurrency": 8}
    airflow.server.answer("POST", "/pools", (200, {}))
    deployer.write(compiled("few"), tmp_path)
    assert airflow.server.requested("POST") == [("/pools", {"name": "few", "slots": slots})]


def test_a_folder_that_does_not_exist_is_named(deployer: AirflowDeployer, tmp_path: Path) -> None:
    with pytest.raises(DevstackError) as raised:
        deployer.write(compiled(), tmp_path / "absent" / "dag.py")
    assert raised.value.code == "DAG_NOT_WRITTEN"


def test_files_are_found_in_folders_of_their_own() -> None:
    ways = ("deploy", "git", "image", "volume")
    assert len({dags_folder({"dags": way}) for way in ways}) == 4
    assert dags_folder({}) == "/airflow/dags"


def git_mistakes(**table: Any) -> list[str]:
    from typing import get_type_hints

    return table_mistakes({"git": table}, get_type_hints(AirflowSettings, include_extras=True))


@pytest.mark.parametrize(
    "repo",
    [
        "https://git.example/team/dags.git",
        "http://git.example:8080/dags.git",
        "ssh://git@git.example:2222/dags.git",
        "git@git.example:team/dags.git",
    ],
)
def test_repositories_are_named_by_urls(repo: str) -> None:
    assert not git_mistakes(repo=repo, branch="feature/one", subfolder="dags", secret="login")


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"repo": "dags"}, "is none of https://HOST/PATH"),
        ({"repo": "--upload-pack=touch /x"}, "is none of https://HOST/PATH"),
        ({"repo": "https://me:token@git.example/dags.git"}, "contains a login; put it into"),
        ({"branch": "--force"}, "is no name of a branch"),
        ({"branch": "a..b"}, "is no name of a branch"),
        ({"subfolder": "../etc"}, "is no folder of the repository"),
        ({"secret": "My Secret"}, "is no name of an object"),
        ({"interval": 0}, "is not a number of seconds"),
        ({"url": "x"}, "unknown setting"),
    ],
)
def test_mistakes_of_the_repository_are_explained(table: dict[str, Any], why: str) -> None:
    (mistake,) = git_mistakes(**table)
    assert why in mistake
    assert "token" not in mistake
