"""The steps of the GitHub Action, run with a devstack and a Python that record their calls."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import yaml

from devstack.paths import project_file
from tests.support.github_action import ActionRun
from tests.support.recorded_programs import RecordedPrograms

ACTION = project_file(".github", "actions", "devstack")


class Machine:
    """A runner without devstack."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = RecordedPrograms(folder / "programs")
        self.cache = folder / "cache"
        self.cache.mkdir()

    def run(self, failing: str = "", **inputs: str) -> ActionRun:
        """Run the action on a fresh runner with this cache."""
        temp = self.folder / f"temp-{len(list(self.folder.iterdir()))}"
        temp.mkdir()
        self.programs.calls.write_text("")
        environment = self.programs.environment(failing)
        return ActionRun(ACTION, self.folder, temp, environment, inputs, self.cache).run()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_sources_of_the_action_are_installed_with_locked_dependencies(machine: Machine) -> None:
    done = machine.run()
    assert not done.failed, done.transcript()
    sources = project_file().resolve()
    assert machine.programs.pip_calls() == [
        f"--require-hashes --requirement {sources}/requirements.lock",
        f"--no-deps --no-build-isolation {sources}",
    ]
    assert done.outputs["version"] == "1.2.3"


@pytest.mark.parametrize(
    ("version", "installed"),
    [("0.2.0", "metaflow-devstack==0.2.0"), ("dist/x.whl", "dist/x.whl")],
)
def test_a_version_or_a_wheel_is_installed(machine: Machine, version: str, installed: str) -> None:
    machine.run(version=version)
    assert machine.programs.pip_calls() == [installed]


def test_later_steps_find_the_command_and_the_stack_but_keep_their_python(machine: Machine) -> None:
    done = machine.run(name="ci")
    folder = Path(done.environment["PATH"].split(os.pathsep)[0])
    assert os.listdir(folder) == ["devstack"]
    assert done.environment["DEVSTACK_NAME"] == "ci"


def test_inputs_become_arguments_of_up(machine: Machine) -> None:
    machine.run(
        **{"with": "registry", "without": "airflow  metadata"},
        config="ci/devstack.toml",
        kubernetes="1.35",
        pools="name=cpu,count=2\nname=gpu,count=1,gpus=8\n",
        cache="false",
    )
    assert machine.programs.devstack_calls()[0] == (
        "<devstack><up><--config><ci/devstack.toml><--kubernetes><1.35><--with><registry>"
        "<--without><airflow><--without><metadata>"
        "<--pool><name=cpu,count=2><--pool><name=gpu,count=1,gpus=8>"
    )


def test_nothing_is_passed_by_default(machine: Machine) -> None:
    machine.run(cache="false")
    assert machine.programs.devstack_calls() == ["<devstack><up>", "<devstack><env>"]


def test_each_line_is_a_run_with_its_quotes_but_is_not_executed(machine: Machine) -> None:
    machine.run(cache="false", run="hello parallel\n\nflow.py -- --text 'two words' --n $(id)\n")
    assert machine.programs.devstack_calls()[2:] == [
        "<devstack><run><hello><parallel>",
        "<devstack><run><flow.py><--><--text><two words><--n><$(id)>",
    ]


def test_a_line_with_an_open_quote_fails(machine: Machine) -> None:
    done = machine.run(cache="false", run="flow.py -- --text 'two")
    assert done.outcomes()["Run the flows"] == "failure"
    assert len(machine.programs.devstack_calls()) > 2  # the logs


def test_the_environment_is_private_and_its_secrets_are_masked(machine: Machine) -> None:
    done = machine.run(cache="false")
    file = Path(done.outputs["env-file"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "export METAFLOW_DEFAULT_DATASTORE=s3" in file.read_text()
    # Not the S3 user, which is called metaflow like much else, nor the names of Secrets.
    assert done.masked == ["s3cret value"]


def test_images_are_saved_once_and_loaded_by_later_jobs(machine: Machine) -> None:
    first = machine.run()
    assert first.outcomes()["Save the images"] == "success"
    assert first.outcomes()["Load the images"] == "skipped"
    again = machine.run()
    assert again.outcomes()["Save the images"] == "skipped"
    assert again.outcomes()["Load the images"] == "success"
    other = machine.run(kubernetes="1.35")
    assert other.outcomes()["Load the images"] == "skipped"


def test_a_cache_that_does_not_work_fails_no_job(machine: Machine) -> None:
    done = machine.run(failing="images", run="hello")
    assert not done.failed
    assert "::warning" in done.transcript()
    assert not list(machine.cache.iterdir())
    machine.run()
    assert not machine.run(failing="images", run="hello").failed


def test_without_the_cache_nothing_is_saved(machine: Machine) -> None:
    machine.run(cache="false")
    assert not list(machine.cache.iterdir())


def test_the_logs_of_a_failure_are_collected_and_the_stack_is_removed(machine: Machine) -> None:
    done = machine.run(failing="run", run="hello", down="true")
    assert done.failed
    assert done.outcomes()["Collect logs"] == "success"
    calls = machine.programs.devstack_calls()
    assert f"<devstack><logs><--cluster><{done.temp}/devstack/logs>" in calls
    assert calls[-1] == "<devstack><down>"
    # A job that fails stores no cache.
    assert not list(machine.cache.iterdir())


def test_a_stack_that_does_not_come_up_is_removed(machine: Machine) -> None:
    done = machine.run(failing="up", run="hello", down="true")
    assert done.outcomes()["Run the flows"] == "skipped"
    assert machine.programs.devstack_calls()[-1] == "<devstack><down>"


def test_by_default_the_stack_stays(machine: Machine) -> None:
    done = machine.run(run="hello")
    assert done.outcomes()["Remove the stack"] == "skipped"


def test_every_input_and_output_is_documented() -> None:
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    document = project_file("docs", "ci.md").read_text()
    for name in [*action["inputs"], *action["outputs"]]:
        assert f"| `{name}` |" in document, name
