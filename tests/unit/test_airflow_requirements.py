"""Python packages that users add to Airflow: what is installed, and what conflicts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from devstack.errors import DevstackError
from devstack.images.airflow_requirements import (
    AirflowRequirements,
    pinned_versions,
    requirement_error,
)
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.recipes.airflow import LOCK
from devstack.progress import Silent
from tests.fakes.runner import Call, FakeRunner

CONFLICT = """\
Collecting sqlalchemy>=2
ERROR: Cannot install sqlalchemy>=2 because these package versions have conflicting dependencies.

The conflict is caused by:
    The user requested sqlalchemy>=2
    The user requested (constraint) sqlalchemy==1.4.54

ERROR: ResolutionImpossible: for help visit the documentation
"""
INDIRECT = """\
The conflict is caused by:
    report-tool 3.1 depends on jinja2<3
    The user requested (constraint) jinja2==3.1.6
"""
MISSING = """\
ERROR: Could not find a version that satisfies the requirement absent==1 (from versions: none)
ERROR: No matching distribution found for absent==1
"""


def test_versions_are_read_from_a_lock() -> None:
    lock = "# comment\nSome_Package[extra]==1.2 \\\n    --hash=sha256:0\nother==2 ; marker\n"
    assert pinned_versions(lock) == {"some-package": "1.2", "other": "2"}
    assert "apache-airflow" in pinned_versions(LOCK.read_text())


def test_a_conflict_names_package_wanted_and_pinned_version() -> None:
    error = requirement_error(CONFLICT)
    assert error.code == "REQUIREMENT_CONFLICT"
    assert error.cause == "wanted: sqlalchemy>=2; pinned by Airflow: sqlalchemy==1.4.54"


def test_a_conflict_of_a_dependency_names_what_depends_on_it() -> None:
    error = requirement_error(INDIRECT)
    assert error.code == "REQUIREMENT_CONFLICT"
    assert error.cause == "report-tool 3.1 depends on jinja2<3; pinned by Airflow: jinja2==3.1.6"


def test_a_package_that_does_not_exist_gives_the_reason_of_pip() -> None:
    error = requirement_error(MISSING)
    assert error.code == "REQUIREMENT_FAILED"
    assert error.cause == "No matching distribution found for absent==1"


@pytest.fixture
def cache(tmp_path: Path) -> ArtifactCache:
    return ArtifactCache(tmp_path / "cache")


def resolves_to(runner: FakeRunner, *packages: str) -> None:
    def write(call: Call) -> None:
        if "--report" in call.argv:
            report = Path(call.argv[call.argv.index("--report") + 1])
            pairs = (each.split("==") for each in packages)
            install = [{"metadata": {"name": name, "version": each}} for name, each in pairs]
            report.write_text(json.dumps({"install": install}))

    runner.answer(sys.executable, effect=write)


def test_only_what_the_image_lacks_is_installed(cache: ArtifactCache) -> None:
    runner = FakeRunner()
    resolves_to(runner, "cowsay==6.1", "Jinja2==3.1.6")
    AirflowRequirements("cowsay\njinja2\n").install(runner, Silent(), cache)
    installed = runner.argvs[-1]
    assert "cowsay==6.1" in installed
    assert "--no-deps" in installed
    assert not any("inja2" in each for each in installed)


def test_packages_are_installed_once_for_their_contents(cache: ArtifactCache) -> None:
    runner = FakeRunner()
    resolves_to(runner)
    for _ in range(2):
        AirflowRequirements("jinja2\n").install(runner, Silent(), cache)
    assert len(runner.calls) == 1


def test_a_conflict_is_no_problem_of_the_index(cache: ArtifactCache) -> None:
    runner = FakeRunner()
    runner.answer(sys.executable, returncode=1, stderr=CONFLICT)
    with pytest.raises(DevstackError) as raised:
        AirflowRequirements("sqlalchemy>=2\n").install(runner, Silent(), cache)
    assert raised.value.code == "REQUIREMENT_CONFLICT"
