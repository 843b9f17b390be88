from __future__ import annotations

import re
import sys
from itertools import chain
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from devstack.paths import project_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RUN, TEST = "requirements.lock", "requirements-test.lock"
LOCKS = [RUN, TEST]


def entries(lock: str) -> list[str]:
    """Return each locked package with its hashes, on one line."""
    lines = project_file(lock).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return text.replace("\\\n", " ").splitlines()


def versions(lock: str) -> dict[str, set[str]]:
    """Return the locked versions by name; several if they differ by Python or platform."""
    found: dict[str, set[str]] = {}
    for entry in entries(lock):
        requirement = Requirement(entry.partition(" --hash")[0])
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        found.setdefault(canonicalize_name(requirement.name), set()).add(pin.version)
    return found


def wanted(lock: str) -> list[Requirement]:
    """Return the requirements of pyproject.toml for a lock."""
    project: dict[str, Any] = tomllib.loads(project_file("pyproject.toml").read_text())
    texts = project["project"]["dependencies"] + project["dependency-groups"]["build"]
    if lock == TEST:
        texts += chain(*project["project"]["optional-dependencies"].values())
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_hashes(lock: str) -> None:
    assert entries(lock)
    for entry in entries(lock):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_names_no_host(lock: str) -> None:
    text = project_file(lock).read_text()
    assert not re.search(r"https?:|//|--(extra-)?index-url|--find-links", text)


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_agrees_with_pyproject(lock: str) -> None:
    locked = versions(lock)
    for requirement in wanted(lock):
        for version in locked[canonicalize_name(requirement.name)]:
            assert requirement.specifier.contains(version), f"{requirement} is locked at {version}"


def test_tests_run_with_the_versions_that_users_get() -> None:
    tested = versions(TEST)
    assert {name: tested[name] for name in versions(RUN)} == versions(RUN)


def test_the_task_image_contains_bytecode_for_the_metaflow_that_is_tested() -> None:
    (entry,) = entries("devstack/containers/task/metaflow.lock")
    assert entry in entries(RUN)
