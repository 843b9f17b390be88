"""Task pods install packages with this machine's settings, and keep them in the stack."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.flows.uv_project import write_project
from devstack.process import SubprocessRunner
from devstack.samples.catalogue import find_sample
from tests.support.commandline import Devstack

FLOW = Path(__file__).with_name("flows") / "uv_everywhere.py"
MARK = "s3cr3t"
PASSWORD = f"pass word & $HOME 'quoted' {MARK}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project: a flow, pyproject.toml and uv.lock."""
    folder = tmp_path_factory.mktemp("project")
    sample = find_sample("packages")
    assert sample
    write_project(sample, folder, Path(sys.executable), SubprocessRunner())
    shutil.copy(FLOW, folder)
    return folder


@pytest.fixture(scope="module")
def configured(stack: Devstack) -> Iterator[Devstack]:
    """The stack of a machine whose index requires a password."""
    behind = Devstack(stack.name, stack.home, {"UV_INDEX_CORP_PASSWORD": PASSWORD})
    output = behind.run("up", "-v")
    assert MARK not in output.stdout + output.stderr
    yield behind
    stack.run("up")


def test_the_sample_passes_its_checks(stack: Devstack) -> None:
    sample = stack.samples("packages")["packages"]
    assert sample["ok"], sample["wrong"] or sample["error"]


def test_pods_of_any_user_and_of_gangs_install_packages(
    configured: Devstack, project: Path
) -> None:
    done = configured.run("run", "--local", FLOW.name, "--", "--environment=uv", cwd=project)
    assert "start imported humanize as user 2001" in done.stdout
    # Metaflow shows the output of the first rank only, but fails if another one does.
    assert "rank 0 imported humanize as user 1000" in done.stdout
    assert "the cache belongs to user 2001" in done.stdout
    assert f"the password is {hashlib.sha256(PASSWORD.encode()).hexdigest()}" in done.stdout
    assert MARK not in done.stdout + done.stderr


def test_the_settings_are_in_secrets_only(configured: Devstack) -> None:
    kinds = "pods,configmaps,mutatingadmissionpolicies"
    answer = configured.admin_kubectl("get", kinds, "-A", "-o", "json")
    assert MARK not in answer.stdout


def test_a_package_that_does_not_exist_is_reported_with_uv_s_reason(
    stack: Devstack, project: Path, tmp_path: Path
) -> None:
    for file in project.iterdir():
        shutil.copy(file, tmp_path)
    lock = tmp_path / "uv.lock"
    lock.write_text(lock.read_text().replace(".whl", ".missing.whl"))
    done = stack.run(
        "run", "--json", "--local", FLOW.name, "--", "--environment=uv", check=False, cwd=tmp_path
    )
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "FLOW_FAILED"
    assert "Failed to" in json.dumps(error["output"])
