from __future__ import annotations

import json
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest

from devstack.errors import DevstackError, ExitStatus
from devstack.flows.python import NEEDED, find_python, pinned_metaflow
from devstack.process import SubprocessRunner
from tests.fakes.runner import FakeRunner

TESTED = pinned_metaflow()


def answer(
    runner: FakeRunner, path: str, missing: tuple[str, ...] = (), version: str = TESTED
) -> None:
    runner.answer(path, stdout=json.dumps([path, version, missing]))


def test_the_pinned_metaflow_is_the_one_of_the_lock_files() -> None:
    assert metadata.version("metaflow") == TESTED


@pytest.mark.parametrize(
    ("variables", "path", "origin"),
    [
        ({"VIRTUAL_ENV": "/v"}, "/v/bin/python", "active virtual environment"),
        ({"CONDA_PREFIX": "/c"}, "/c/bin/python", "active conda environment"),
        (
            {"VIRTUAL_ENV": "/v", "CONDA_PREFIX": "/c"},
            "/v/bin/python",
            "active virtual environment",
        ),
    ],
)
def test_an_active_environment_with_metaflow_runs_the_flow(
    variables: dict[str, str], path: str, origin: str
) -> None:
    runner = FakeRunner()
    answer(runner, path)
    found = find_python("", runner, variables)
    assert str(found) == f"Python: {path} ({origin}), Metaflow {TESTED}"
    assert not found.warnings


def test_without_an_active_environment_the_first_python_on_path_is_used() -> None:
    runner = FakeRunner()
    place = FakeRunner(["python"]).which("python")
    assert place
    answer(runner, place)
    runner.programs.add("python")
    assert find_python("", runner, {}).origin == "first python on PATH"


def test_an_environment_without_metaflow_is_not_used() -> None:
    runner = FakeRunner()
    answer(runner, "/v/bin/python", NEEDED, "")
    found = find_python("", runner, {"VIRTUAL_ENV": "/v"})
    assert found.path == Path(sys.executable)
    assert found.origin == "devstack's own; the active virtual environment has no Metaflow"
    assert not found.warnings


def test_an_environment_that_lacks_other_packages_is_reported_with_the_remedy() -> None:
    runner = FakeRunner()
    answer(runner, "/v/bin/python", ("boto3", "kubernetes"))
    found = find_python("", runner, {"VIRTUAL_ENV": "/v"})
    assert found.path == Path(sys.executable)
    assert "/v/bin/python -m pip install boto3 kubernetes" in found.warnings[0]


def test_an_environment_that_was_deleted_is_reported() -> None:
    found = find_python("", FakeRunner(), {"VIRTUAL_ENV": "/gone"})
    assert found.path == Path(sys.executable)
    assert "/gone/bin/python cannot be started" in found.warnings[0]


def test_devstacks_own_python_is_not_started_to_inspect_it() -> None:
    runner = FakeRunner()
    found = find_python("", runner, {"VIRTUAL_ENV": sys.prefix})
    assert found.path == Path(sys.executable)
    assert not runner.calls


def test_an_untested_version_of_metaflow_is_reported() -> None:
    runner = FakeRunner()
    answer(runner, "/v/bin/python", version="2.15.1")
    found = find_python("", runner, {"VIRTUAL_ENV": "/v"})
    assert found.warnings == (f"devstack is tested with Metaflow {TESTED}, not with 2.15.1",)


def test_the_named_python_is_used_regardless_of_the_active_environment(tmp_path: Path) -> None:
    runner = FakeRunner()
    answer(runner, f"{tmp_path}/bin/python")
    for chosen in (str(tmp_path), f"{tmp_path}/bin/python"):
        found = find_python(chosen, runner, {"VIRTUAL_ENV": "/v"})
        assert (str(found.path), found.origin) == (f"{tmp_path}/bin/python", "--python")


def test_a_named_python_without_metaflow_is_rejected_with_the_command_that_installs_it() -> None:
    runner = FakeRunner()
    answer(runner, "/v/bin/python", NEEDED, "")
    with pytest.raises(DevstackError) as caught:
        find_python("/v/bin/python", runner, {})
    assert (caught.value.code, caught.value.exit_status) == ("PYTHON_INCOMPLETE", ExitStatus.USAGE)
    assert caught.value.remedy == "/v/bin/python -m pip install metaflow boto3 kubernetes"


@pytest.mark.parametrize("chosen", ["/no/such/python", "/bin/true", "/bin/false", "/etc/passwd"])
def test_a_named_program_that_is_not_python_is_rejected(chosen: str) -> None:
    with pytest.raises(DevstackError) as caught:
        find_python(chosen, SubprocessRunner(), {})
    assert caught.value.code == "PYTHON_UNUSABLE"


def test_a_real_virtual_environment_is_recognised(tmp_path: Path) -> None:
    """One without Metaflow, then with the packages of this one."""
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    runner, variables = SubprocessRunner(), {"VIRTUAL_ENV": str(folder)}
    assert find_python("", runner, variables).path == Path(sys.executable)
    query = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    theirs = subprocess.check_output([python, "-c", query], text=True).strip()
    ours = subprocess.check_output([sys.executable, "-c", query], text=True).strip()
    (Path(theirs) / "ours.pth").write_text(ours + "\n")
    found = find_python("", runner, variables)
    assert (found.path, found.metaflow) == (python, TESTED)
