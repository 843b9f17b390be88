"""The template for GitLab, run with a devstack and a Python that record their calls."""

from __future__ import annotations

import re
import string
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstack.paths import project_file
from tests.support.recorded_programs import RecordedPrograms

TEMPLATE: dict[str, Any] = yaml.safe_load(project_file("docs", "ci", "gitlab-ci.yml").read_text())
JOB = {**TEMPLATE[".devstack"], **TEMPLATE["flows"]}


class Job:
    """A job on a machine of its own: what the shell executor does, in the project's folder."""

    def __init__(self, folder: Path) -> None:
        self.programs = RecordedPrograms(folder / "programs")
        self.project = folder / "project"
        self.project.mkdir()

    def run(self, failing: str = "", number: str = "7") -> bool:
        """Run the job; return True if it succeeds."""
        self.programs.calls.write_text("")
        environment = {
            **self.programs.environment(failing),
            **JOB["variables"],
            "CI_JOB_ID": number,
        }
        succeeded = self._shell([*JOB["before_script"], *JOB["script"]], environment)
        environment["CI_JOB_STATUS"] = "success" if succeeded else "failed"
        self._shell(JOB["after_script"], environment)
        return succeeded

    def _shell(self, lines: list[str], environment: dict[str, str]) -> bool:
        done = subprocess.run(
            ["bash", "-eo", "pipefail"],
            input="\n".join(lines),
            cwd=self.project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode == 0


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_a_job_brings_its_own_stack_up_runs_flows_and_removes_it(job: Job) -> None:
    assert job.run()
    assert job.programs.pip_calls() == [JOB["variables"]["DEVSTACK"]]
    assert job.programs.devstack_calls() == [
        "<devstack><up><--without><airflow>",
        "<devstack><images><save><--present><.devstack/images.tar>",
        "<devstack><run><hello><parallel>",
        "<devstack><run><flows/my_flow.py><--><--n><3>",
        "<devstack><down>",
    ]


def test_a_later_job_loads_the_images_of_the_cache(job: Job) -> None:
    job.run()
    assert job.run(number="8")
    calls = job.programs.devstack_calls()
    assert calls[0] == "<devstack><images><load><.devstack/images.tar>"
    assert not any("<save>" in call for call in calls)


def test_the_key_of_the_cache_is_one_that_gitlab_accepts() -> None:
    key = string.Template(JOB["cache"]["key"]).substitute(JOB["variables"])
    # Source: GitLab's reference of .gitlab-ci.yml, `cache:key`.
    assert not re.search(r"/|%2F", key, re.IGNORECASE)
    # What users replace by the path of a wheel, or extend by options, is not in it.
    assert set(re.findall(r"\$(\w+)", JOB["cache"]["key"])) == {"DEVSTACK_CACHE_KEY"}


def test_a_cache_that_does_not_work_fails_no_job(job: Job) -> None:
    assert job.run(failing="images")


def test_a_failed_job_keeps_its_logs_and_leaves_no_stack(job: Job) -> None:
    assert not job.run(failing="run")
    assert job.programs.devstack_calls()[-3:] == [
        "<devstack><logs><--tail><200>",
        "<devstack><logs><--cluster><.devstack/logs>",
        "<devstack><down>",
    ]
